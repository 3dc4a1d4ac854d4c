"""The demo: a Hub, a customer and five live tenants on one machine, started, seeded by the API, watched and ended."""
