"""What the specification's models still lacked: provisioning, DNS, enterprise clients; and how an order may move.

Revision ID: 0013_models
Revises: 0012_audit
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0013_models"
down_revision = "0012_audit"
branch_labels = None
depends_on = None

# Of ASCII, what is neither letter nor digit; a quote is doubled.
_SIGNS = "!\"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~"
_SPACES = " " * 32

# An order goes on by one step at a time, wherever it stands to FAILED or CANCELLED, and back from FAILED to the step
# that failed. A server that registers makes it FULFILLED from any step: it runs, whatever was still to do.
_ORDER_MOVES = """
    CREATE FUNCTION orders_may_move() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE steps CONSTANT text[] := ARRAY['PAYMENT_CONFIRMED', 'AWAITING_SERVER', 'SERVER_READY', 'DNS_PENDING',
            'DNS_READY', 'PROVISIONING', 'FULFILLED'];
        now_at CONSTANT integer := array_position(steps, OLD.status);
    BEGIN
        IF OLD.status = 'CANCELLED' OR (OLD.status = 'FULFILLED' AND NEW.status <> 'CANCELLED')
            OR (NEW.status IN ('CANCELLED', 'FULFILLED', steps[now_at + 1], OLD.failed_step)
                OR (NEW.status = 'FAILED' AND now_at IS NOT NULL)) IS NOT TRUE THEN
            RAISE EXCEPTION 'an order that is % cannot become %', OLD.status, NEW.status
                USING ERRCODE = 'check_violation', CONSTRAINT = 'orders_may_move';
        END IF;
        NEW.failed_step := CASE WHEN NEW.status = 'FAILED' THEN OLD.status END;
        RETURN NEW;
    END $$
"""

STEPS = (
    "ALTER TABLE orders ADD COLUMN failed_step text",
    # Where an order failed was not kept; the first step is the one from which nothing is left out.
    "UPDATE orders SET failed_step = 'PAYMENT_CONFIRMED' WHERE status = 'FAILED'",
    """
    ALTER TABLE orders
        ADD CONSTRAINT ck_orders_failed_somewhere CHECK ((status = 'FAILED') = (failed_step IS NOT NULL)),
        ADD CONSTRAINT ck_orders_failed_step CHECK (failed_step IN ('PAYMENT_CONFIRMED', 'AWAITING_SERVER',
            'SERVER_READY', 'DNS_PENDING', 'DNS_READY', 'PROVISIONING'))
    """,
    _ORDER_MOVES,
    "CREATE TRIGGER orders_may_move BEFORE UPDATE OF status ON orders FOR EACH ROW"
    " WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION orders_may_move()",
    "CREATE INDEX ix_orders_tier ON orders (tier, created_at DESC, id DESC)",
    "CREATE INDEX ix_users_status ON users (status, created_at DESC, id DESC)",
    """
    CREATE TABLE runner_tokens (
        id uuid CONSTRAINT pk_runner_tokens PRIMARY KEY, name text NOT NULL, token_hash bytea NOT NULL,
        created_at timestamptz NOT NULL, last_used_at timestamptz, revoked_at timestamptz,
        CONSTRAINT ck_runner_tokens_hashed CHECK (length(token_hash) = 32)
    )
    """,
    "CREATE UNIQUE INDEX ux_runner_tokens_name ON runner_tokens (lower(name)) WHERE revoked_at IS NULL",
    "CREATE UNIQUE INDEX ux_runner_tokens_token_hash ON runner_tokens (token_hash)",
    """
    CREATE TABLE token_usage (
        id uuid CONSTRAINT pk_token_usage PRIMARY KEY, user_id uuid NOT NULL, operation text NOT NULL,
        model text NOT NULL, tokens_input integer NOT NULL, tokens_output integer NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT ck_token_usage_tokens CHECK (tokens_input >= 0 AND tokens_output >= 0),
        CONSTRAINT fk_token_usage_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE RESTRICT
    )
    """,
    "CREATE INDEX ix_token_usage_user_id ON token_usage (user_id, created_at)",
    """
    CREATE TABLE dns_verifications (
        id uuid CONSTRAINT pk_dns_verifications PRIMARY KEY, order_id uuid NOT NULL, expected_ip inet NOT NULL,
        wildcard_passed boolean NOT NULL DEFAULT false, created_at timestamptz NOT NULL, last_checked_at timestamptz,
        verified_at timestamptz, skipped_at timestamptz, skipped_by uuid,
        CONSTRAINT ck_dns_verifications_skipped_by_somebody CHECK ((skipped_at IS NULL) = (skipped_by IS NULL)),
        CONSTRAINT ck_dns_verifications_one_end CHECK (verified_at IS NULL OR skipped_at IS NULL),
        CONSTRAINT ck_dns_verifications_verified_was_checked
            CHECK (verified_at IS NULL OR last_checked_at IS NOT NULL),
        CONSTRAINT fk_dns_verifications_order_id FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE,
        CONSTRAINT fk_dns_verifications_skipped_by FOREIGN KEY (skipped_by) REFERENCES staff (id) ON DELETE RESTRICT
    )
    """,
    "CREATE INDEX ix_dns_verifications_open ON dns_verifications (last_checked_at)"
    " WHERE verified_at IS NULL AND skipped_at IS NULL",
    "CREATE INDEX ix_dns_verifications_skipped_by ON dns_verifications (skipped_by) WHERE skipped_by IS NOT NULL",
    "CREATE UNIQUE INDEX ux_dns_verifications_order_id ON dns_verifications (order_id)",
    """
    CREATE TABLE provisioning_jobs (
        id uuid CONSTRAINT pk_provisioning_jobs PRIMARY KEY, order_id uuid NOT NULL, job_type text NOT NULL,
        status text NOT NULL DEFAULT 'PENDING', priority smallint NOT NULL DEFAULT 0,
        attempt smallint NOT NULL DEFAULT 0, max_attempts smallint NOT NULL DEFAULT 3, runner_token_id uuid,
        container_name text, configuration jsonb NOT NULL DEFAULT '{}'::jsonb, result jsonb, error text,
        created_at timestamptz NOT NULL, next_attempt_at timestamptz, claimed_until timestamptz,
        started_at timestamptz, finished_at timestamptz,
        CONSTRAINT ck_provisioning_jobs_job_type CHECK (job_type IN ('PROVISION', 'UPDATE', 'DECOMMISSION')),
        CONSTRAINT ck_provisioning_jobs_status
            CHECK (status IN ('PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED')),
        CONSTRAINT ck_provisioning_jobs_attempts_counted
            CHECK (attempt BETWEEN 0 AND max_attempts AND max_attempts >= 1),
        CONSTRAINT ck_provisioning_jobs_finished_has_a_time
            CHECK ((status IN ('PENDING', 'RUNNING')) = (finished_at IS NULL)),
        CONSTRAINT ck_provisioning_jobs_running_is_claimed
            CHECK ((status = 'RUNNING') = (claimed_until IS NOT NULL)),
        CONSTRAINT ck_provisioning_jobs_pending_is_due CHECK ((status = 'PENDING') = (next_attempt_at IS NOT NULL)),
        CONSTRAINT ck_provisioning_jobs_running_was_started
            CHECK (status <> 'RUNNING' OR (started_at IS NOT NULL AND attempt >= 1)),
        CONSTRAINT ck_provisioning_jobs_failed_says_why CHECK (status <> 'FAILED' OR error IS NOT NULL),
        CONSTRAINT fk_provisioning_jobs_order_id FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE,
        CONSTRAINT fk_provisioning_jobs_runner_token_id
            FOREIGN KEY (runner_token_id) REFERENCES runner_tokens (id) ON DELETE SET NULL
    )
    """,
    "CREATE INDEX ix_provisioning_jobs_claimed ON provisioning_jobs (claimed_until) WHERE status = 'RUNNING'",
    "CREATE INDEX ix_provisioning_jobs_due ON provisioning_jobs (priority DESC, next_attempt_at)"
    " WHERE status = 'PENDING'",
    "CREATE INDEX ix_provisioning_jobs_order_id ON provisioning_jobs (order_id, created_at, id)",
    "CREATE INDEX ix_provisioning_jobs_runner_token_id ON provisioning_jobs (runner_token_id)"
    " WHERE runner_token_id IS NOT NULL",
    "CREATE UNIQUE INDEX ux_provisioning_jobs_open ON provisioning_jobs (order_id)"
    " WHERE status IN ('PENDING', 'RUNNING')",
    """
    CREATE TABLE provisioning_logs (
        id uuid CONSTRAINT pk_provisioning_logs PRIMARY KEY, order_id uuid NOT NULL, at timestamptz NOT NULL,
        level text NOT NULL, step text NOT NULL, message text NOT NULL,
        CONSTRAINT ck_provisioning_logs_level CHECK (level IN ('DEBUG', 'INFO', 'WARN', 'ERROR')),
        CONSTRAINT ck_provisioning_logs_step CHECK (step IN ('PAYMENT_CONFIRMED', 'AWAITING_SERVER', 'SERVER_READY',
            'DNS_PENDING', 'DNS_READY', 'PROVISIONING', 'FULFILLED', 'FAILED', 'CANCELLED')),
        CONSTRAINT fk_provisioning_logs_order_id FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_provisioning_logs_order_id ON provisioning_logs (order_id, at, id)",
    """
    CREATE TABLE dns_records (
        id uuid CONSTRAINT pk_dns_records PRIMARY KEY, dns_verification_id uuid NOT NULL, name text NOT NULL,
        status text NOT NULL DEFAULT 'PENDING', resolved_ip inet, error text, provider_record_id text,
        last_checked_at timestamptz,
        CONSTRAINT ck_dns_records_status
            CHECK (status IN ('PENDING', 'VERIFIED', 'MISMATCH', 'NOT_FOUND', 'ERROR', 'SKIPPED')),
        CONSTRAINT ck_dns_records_lower_case CHECK (name = lower(name)),
        CONSTRAINT ck_dns_records_resolved_to_something
            CHECK (status NOT IN ('VERIFIED', 'MISMATCH') OR resolved_ip IS NOT NULL),
        CONSTRAINT ck_dns_records_judged_was_checked
            CHECK (status IN ('PENDING', 'SKIPPED') OR last_checked_at IS NOT NULL),
        CONSTRAINT fk_dns_records_dns_verification_id
            FOREIGN KEY (dns_verification_id) REFERENCES dns_verifications (id) ON DELETE CASCADE
    )
    """,
    "CREATE UNIQUE INDEX ux_dns_records_name ON dns_records (dns_verification_id, name)",
    """
    CREATE TABLE job_logs (
        id uuid CONSTRAINT pk_job_logs PRIMARY KEY, job_id uuid NOT NULL, attempt smallint NOT NULL,
        number bigint NOT NULL, at timestamptz NOT NULL, level text NOT NULL, step text, progress_percent smallint,
        message text NOT NULL,
        CONSTRAINT ck_job_logs_level CHECK (level IN ('DEBUG', 'INFO', 'WARN', 'ERROR')),
        CONSTRAINT ck_job_logs_counted_from_one CHECK (attempt >= 1 AND number >= 1),
        CONSTRAINT ck_job_logs_progress_percent CHECK (progress_percent BETWEEN 0 AND 100),
        CONSTRAINT fk_job_logs_job_id FOREIGN KEY (job_id) REFERENCES provisioning_jobs (id) ON DELETE CASCADE
    )
    """,
    "CREATE UNIQUE INDEX ux_job_logs_number ON job_logs (job_id, attempt, number)",
    f"""
    CREATE TABLE enterprise_clients (
        id uuid NOT NULL, name text NOT NULL, company text, contact_email text NOT NULL, contact_phone text,
        notes text, is_active boolean NOT NULL DEFAULT true, created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL, deactivated_at timestamptz,
        search tsvector GENERATED ALWAYS AS (
            to_tsvector('simple'::regconfig,
                translate(name || ' ' || coalesce(company, '') || ' ' || contact_email, '{_SIGNS}', '{_SPACES}'))
        ) STORED,
        CONSTRAINT pk_enterprise_clients PRIMARY KEY (id),
        CONSTRAINT ck_enterprise_clients_deactivated_has_a_time CHECK (is_active = (deactivated_at IS NULL))
    )
    """,
    "CREATE INDEX ix_enterprise_clients_created_at ON enterprise_clients (created_at DESC, id DESC)",
    "CREATE INDEX ix_enterprise_clients_search ON enterprise_clients USING gin (search)",
    "CREATE UNIQUE INDEX ux_enterprise_clients_name ON enterprise_clients (lower(name)) WHERE is_active",
    """
    CREATE TABLE notification_cooldowns (
        id uuid CONSTRAINT pk_notification_cooldowns PRIMARY KEY, topic text NOT NULL,
        last_sent_at timestamptz NOT NULL, until timestamptz NOT NULL,
        CONSTRAINT ck_notification_cooldowns_ends_later CHECK (until >= last_sent_at)
    )
    """,
    "CREATE INDEX ix_notification_cooldowns_until ON notification_cooldowns (until)",
    "CREATE UNIQUE INDEX ux_notification_cooldowns_topic ON notification_cooldowns (topic)",
    """
    CREATE TABLE enterprise_servers (
        id uuid CONSTRAINT pk_enterprise_servers PRIMARY KEY, client_id uuid NOT NULL, netcup_server_id text,
        nickname text NOT NULL, purpose text, portainer_url text, portainer_username text,
        portainer_password_sealed bytea, is_active boolean NOT NULL DEFAULT true, created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        CONSTRAINT uq_enterprise_servers_id_client_id UNIQUE (id, client_id),
        CONSTRAINT ck_enterprise_servers_portainer_whole_or_not CHECK ((portainer_username IS NULL) =
            (portainer_password_sealed IS NULL) AND (portainer_username IS NULL OR portainer_url IS NOT NULL)),
        CONSTRAINT fk_enterprise_servers_client_id
            FOREIGN KEY (client_id) REFERENCES enterprise_clients (id) ON DELETE RESTRICT
    )
    """,
    "CREATE INDEX ix_enterprise_servers_client_id ON enterprise_servers (client_id, created_at, id)",
    """
    CREATE UNIQUE INDEX ux_enterprise_servers_netcup_server_id ON enterprise_servers (netcup_server_id) WHERE
        is_active AND netcup_server_id IS NOT NULL
    """,
    """
    CREATE TABLE error_detection_rules (
        id uuid CONSTRAINT pk_error_detection_rules PRIMARY KEY, client_id uuid NOT NULL, name text NOT NULL,
        pattern text NOT NULL, severity text NOT NULL, description text, is_active boolean NOT NULL DEFAULT true,
        created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
        CONSTRAINT uq_error_detection_rules_id_client_id UNIQUE (id, client_id),
        CONSTRAINT ck_error_detection_rules_severity CHECK (severity IN ('INFO', 'WARNING', 'ERROR', 'CRITICAL')),
        CONSTRAINT ck_error_detection_rules_pattern CHECK (pattern <> '' AND length(pattern) <= 1000),
        CONSTRAINT fk_error_detection_rules_client_id
            FOREIGN KEY (client_id) REFERENCES enterprise_clients (id) ON DELETE CASCADE
    )
    """,
    "CREATE UNIQUE INDEX ux_error_detection_rules_name ON error_detection_rules (client_id, lower(name))",
    """
    CREATE TABLE notification_settings (
        id uuid CONSTRAINT pk_notification_settings PRIMARY KEY, client_id uuid NOT NULL,
        enabled boolean NOT NULL DEFAULT true, lowest_severity text NOT NULL DEFAULT 'ERROR',
        container_crashes boolean NOT NULL DEFAULT true, recipients text[] NOT NULL DEFAULT '{}'::text[],
        cooldown_minutes integer NOT NULL DEFAULT 30, updated_at timestamptz NOT NULL,
        CONSTRAINT ck_notification_settings_lowest_severity
            CHECK (lowest_severity IN ('INFO', 'WARNING', 'ERROR', 'CRITICAL')),
        CONSTRAINT ck_notification_settings_recipients CHECK (cardinality(recipients) <= 20),
        CONSTRAINT ck_notification_settings_recipients_are_somebody
            CHECK (array_position(recipients, NULL) IS NULL),
        CONSTRAINT ck_notification_settings_cooldown_minutes CHECK (cooldown_minutes BETWEEN 0 AND 10080),
        CONSTRAINT fk_notification_settings_client_id
            FOREIGN KEY (client_id) REFERENCES enterprise_clients (id) ON DELETE CASCADE
    )
    """,
    "CREATE UNIQUE INDEX ux_notification_settings_client_id ON notification_settings (client_id)",
    """
    CREATE TABLE container_events (
        id uuid CONSTRAINT pk_container_events PRIMARY KEY, server_id uuid NOT NULL, container_id text NOT NULL,
        container_name text NOT NULL, kind text NOT NULL, exit_code integer, detail text, at timestamptz NOT NULL,
        CONSTRAINT ck_container_events_kind
            CHECK (kind IN ('STARTED', 'STOPPED', 'CRASHED', 'OOM_KILLED', 'RESTARTED', 'REMOVED')),
        CONSTRAINT fk_container_events_server_id
            FOREIGN KEY (server_id) REFERENCES enterprise_servers (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_container_events_at ON container_events (at)",
    "CREATE INDEX ix_container_events_server ON container_events (server_id, at DESC, id DESC)",
    "CREATE UNIQUE INDEX ux_container_events_once ON container_events (server_id, container_id, kind, at)",
    """
    CREATE TABLE container_state_snapshots (
        id uuid CONSTRAINT pk_container_state_snapshots PRIMARY KEY, server_id uuid NOT NULL,
        container_id text NOT NULL, container_name text NOT NULL, state text NOT NULL,
        restart_count integer NOT NULL DEFAULT 0, checked_at timestamptz NOT NULL,
        CONSTRAINT ck_container_state_snapshots_state
            CHECK (state IN ('created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead')),
        CONSTRAINT ck_container_state_snapshots_restart_count CHECK (restart_count >= 0),
        CONSTRAINT fk_container_state_snapshots_server_id
            FOREIGN KEY (server_id) REFERENCES enterprise_servers (id) ON DELETE CASCADE
    )
    """,
    "CREATE UNIQUE INDEX ux_container_state_snapshots_container ON container_state_snapshots (server_id, container_id)",
    """
    CREATE TABLE detected_errors (
        id uuid CONSTRAINT pk_detected_errors PRIMARY KEY, server_id uuid NOT NULL, client_id uuid NOT NULL,
        rule_id uuid, rule_name text NOT NULL, severity text NOT NULL, container_id text NOT NULL,
        container_name text NOT NULL, log_line text NOT NULL, line_hash bytea NOT NULL, context text,
        at timestamptz NOT NULL, acknowledged_at timestamptz, acknowledged_by uuid,
        CONSTRAINT fk_detected_errors_server_id_client_id
            FOREIGN KEY (server_id, client_id) REFERENCES enterprise_servers (id, client_id) ON DELETE CASCADE,
        CONSTRAINT fk_detected_errors_rule_id_client_id FOREIGN KEY (rule_id, client_id) REFERENCES
            error_detection_rules (id, client_id) ON DELETE SET NULL (rule_id),
        CONSTRAINT ck_detected_errors_severity CHECK (severity IN ('INFO', 'WARNING', 'ERROR', 'CRITICAL')),
        CONSTRAINT ck_detected_errors_acknowledged_by_somebody
            CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL)),
        CONSTRAINT fk_detected_errors_acknowledged_by
            FOREIGN KEY (acknowledged_by) REFERENCES staff (id) ON DELETE RESTRICT
    )
    """,
    "CREATE INDEX ix_detected_errors_acknowledged_by ON detected_errors (acknowledged_by)"
    " WHERE acknowledged_by IS NOT NULL",
    "CREATE INDEX ix_detected_errors_client ON detected_errors (client_id, at DESC, id DESC)",
    "CREATE INDEX ix_detected_errors_open ON detected_errors (client_id, at DESC, id DESC)"
    " WHERE acknowledged_at IS NULL",
    "CREATE INDEX ix_detected_errors_rule_id ON detected_errors (rule_id) WHERE rule_id IS NOT NULL",
    "CREATE UNIQUE INDEX ux_detected_errors_line ON detected_errors (server_id, container_id, at, line_hash, rule_id)",
    """
    CREATE TABLE log_scan_positions (
        id uuid CONSTRAINT pk_log_scan_positions PRIMARY KEY, server_id uuid NOT NULL, container_id text NOT NULL,
        last_at timestamptz NOT NULL, last_line_hash bytea NOT NULL, scanned_at timestamptz NOT NULL,
        CONSTRAINT fk_log_scan_positions_server_id
            FOREIGN KEY (server_id) REFERENCES enterprise_servers (id) ON DELETE CASCADE
    )
    """,
    "CREATE UNIQUE INDEX ux_log_scan_positions_container ON log_scan_positions (server_id, container_id)",
    """
    CREATE TABLE security_verification_codes (
        id uuid CONSTRAINT pk_security_verification_codes PRIMARY KEY, client_id uuid NOT NULL,
        server_id uuid NOT NULL, action text NOT NULL, code_hash bytea NOT NULL, attempts smallint NOT NULL DEFAULT 0,
        requested_by uuid NOT NULL, created_at timestamptz NOT NULL, expires_at timestamptz NOT NULL,
        used_at timestamptz, voided_at timestamptz,
        CONSTRAINT fk_security_verification_codes_server_id_client_id
            FOREIGN KEY (server_id, client_id) REFERENCES enterprise_servers (id, client_id) ON DELETE CASCADE,
        CONSTRAINT ck_security_verification_codes_action CHECK (action IN ('WIPE', 'REINSTALL')),
        CONSTRAINT ck_security_verification_codes_hashed CHECK (length(code_hash) = 32),
        CONSTRAINT ck_security_verification_codes_attempts CHECK (attempts BETWEEN 0 AND 5),
        CONSTRAINT ck_security_verification_codes_expires_later CHECK (expires_at > created_at),
        CONSTRAINT ck_security_verification_codes_one_end
            CHECK (used_at IS NULL OR (voided_at IS NULL AND used_at < expires_at)),
        CONSTRAINT fk_security_verification_codes_requested_by
            FOREIGN KEY (requested_by) REFERENCES staff (id) ON DELETE RESTRICT
    )
    """,
    "CREATE INDEX ix_security_verification_codes_client_id ON security_verification_codes (client_id, created_at)",
    "CREATE INDEX ix_security_verification_codes_expires_at ON security_verification_codes (expires_at)",
    "CREATE INDEX ix_security_verification_codes_requested_by ON security_verification_codes (requested_by)",
    """
    CREATE UNIQUE INDEX ux_security_verification_codes_open ON security_verification_codes (server_id, action) WHERE
        used_at IS NULL AND voided_at IS NULL
    """,
    """
    CREATE TABLE server_stats_snapshots (
        id uuid CONSTRAINT pk_server_stats_snapshots PRIMARY KEY, server_id uuid, client_id uuid, order_id uuid,
        at timestamptz NOT NULL, cpu_percent double precision, memory_used_mb bigint, memory_total_mb bigint,
        disk_used_gb double precision, disk_total_gb double precision, disk_read_mbps double precision,
        disk_write_mbps double precision, network_in_mbps double precision, network_out_mbps double precision,
        containers_running integer, containers_stopped integer,
        CONSTRAINT fk_server_stats_snapshots_server_id_client_id
            FOREIGN KEY (server_id, client_id) REFERENCES enterprise_servers (id, client_id) ON DELETE CASCADE,
        CONSTRAINT ck_server_stats_snapshots_server_of_a_client CHECK ((server_id IS NULL) = (client_id IS NULL)),
        CONSTRAINT ck_server_stats_snapshots_of_one_server CHECK ((server_id IS NULL) <> (order_id IS NULL)),
        CONSTRAINT ck_server_stats_snapshots_cpu_percent CHECK (cpu_percent >= 0),
        CONSTRAINT ck_server_stats_snapshots_memory CHECK (memory_used_mb BETWEEN 0 AND memory_total_mb),
        CONSTRAINT ck_server_stats_snapshots_disk CHECK (disk_used_gb BETWEEN 0 AND disk_total_gb),
        CONSTRAINT ck_server_stats_snapshots_containers CHECK (containers_running >= 0 AND containers_stopped >= 0),
        CONSTRAINT fk_server_stats_snapshots_order_id
            FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_server_stats_snapshots_at ON server_stats_snapshots (at)",
    "CREATE INDEX ix_server_stats_snapshots_client ON server_stats_snapshots (client_id, at)"
    " WHERE client_id IS NOT NULL",
    "CREATE UNIQUE INDEX ux_server_stats_snapshots_order ON server_stats_snapshots (order_id, at)"
    " WHERE order_id IS NOT NULL",
    "CREATE UNIQUE INDEX ux_server_stats_snapshots_server ON server_stats_snapshots (server_id, at)"
    " WHERE server_id IS NOT NULL",
    """
    CREATE TABLE billing_periods (
        id uuid CONSTRAINT pk_billing_periods PRIMARY KEY, user_id uuid NOT NULL, subscription_id uuid NOT NULL,
        starts_at timestamptz NOT NULL, ends_at timestamptz NOT NULL, token_limit bigint NOT NULL,
        tokens_used bigint NOT NULL DEFAULT 0, overage_tokens bigint NOT NULL DEFAULT 0,
        overage_cents bigint NOT NULL DEFAULT 0, premium_tokens bigint NOT NULL DEFAULT 0,
        premium_cents bigint NOT NULL DEFAULT 0, status text NOT NULL DEFAULT 'OPEN', stripe_invoice_id text,
        created_at timestamptz NOT NULL, closed_at timestamptz,
        CONSTRAINT ck_billing_periods_status CHECK (status IN ('OPEN', 'CLOSED', 'INVOICED', 'PAID')),
        CONSTRAINT ck_billing_periods_ends_later CHECK (ends_at > starts_at),
        CONSTRAINT ck_billing_periods_closed_has_a_time CHECK ((status = 'OPEN') = (closed_at IS NULL)),
        CONSTRAINT ck_billing_periods_invoiced_by_one CHECK (status NOT IN ('INVOICED', 'PAID') OR stripe_invoice_id
            IS NOT NULL),
        CONSTRAINT ck_billing_periods_amounts CHECK (token_limit >= 0 AND tokens_used >= 0 AND overage_tokens >= 0
            AND overage_cents >= 0 AND premium_tokens >= 0 AND premium_cents >= 0),
        CONSTRAINT fk_billing_periods_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE RESTRICT,
        CONSTRAINT fk_billing_periods_subscription_id FOREIGN KEY (subscription_id) REFERENCES subscriptions (id) ON
            DELETE RESTRICT
    )
    """,
    "CREATE INDEX ix_billing_periods_due ON billing_periods (ends_at) WHERE status = 'OPEN'",
    "CREATE INDEX ix_billing_periods_user_id ON billing_periods (user_id, starts_at)",
    "CREATE UNIQUE INDEX ux_billing_periods_open ON billing_periods (subscription_id) WHERE status = 'OPEN'",
    "CREATE UNIQUE INDEX ux_billing_periods_starts_at ON billing_periods (subscription_id, starts_at)",
    """
    CREATE UNIQUE INDEX ux_billing_periods_stripe_invoice_id ON billing_periods (stripe_invoice_id) WHERE
        stripe_invoice_id IS NOT NULL
    """,
)

UNDO = (
    """
    DROP TABLE billing_periods, server_stats_snapshots, security_verification_codes, log_scan_positions,
        detected_errors, container_state_snapshots, container_events, notification_settings, notification_cooldowns,
        error_detection_rules, enterprise_servers, enterprise_clients, job_logs, dns_records, provisioning_logs,
        provisioning_jobs, dns_verifications, token_usage, runner_tokens
    """,
    "DROP INDEX ix_users_status, ix_orders_tier",
    "DROP FUNCTION orders_may_move() CASCADE",
    "ALTER TABLE orders DROP COLUMN failed_step",
)


def upgrade() -> None:
    """Make the tables, and hold orders to their way."""
    for step in STEPS:
        op.execute(text(step))


def downgrade() -> None:
    """Drop the tables, with all they hold, and let orders move as they like."""
    for step in UNDO:
        op.execute(text(step))
