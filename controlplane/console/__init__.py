"""The web console: static ES modules, one stylesheet, one icon sprite; served as they are, no build step."""
