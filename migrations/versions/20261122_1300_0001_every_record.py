"""Every record of the product."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
revision = '0001'
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), 'postgresql')


def upgrade() -> None:
    op.create_table('applications',
    sa.Column('id', ID, nullable=False),
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('description', sa.Text(), nullable=False),
    sa.Column('vendor', sa.String(length=200), nullable=False),
    sa.Column('category', sa.String(length=200), nullable=False),
    sa.Column('url', sa.String(length=2048), nullable=False),
    sa.Column('is_critical', sa.Boolean(), nullable=False),
    sa.Column('notes', sa.Text(), nullable=False),
    sa.Column('created_at', TIME, nullable=False),
    sa.Column('archived_at', TIME, nullable=True),
    sa.CheckConstraint('length(description) <= 2000', name=op.f('ck_applications_description_length')),
    sa.CheckConstraint('length(notes) <= 2000', name=op.f('ck_applications_notes_length')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_applications'))
    )
    op.create_index('uq_applications_name_lower', 'applications', [sa.literal_column('lower(name)')], unique=True, sqlite_where=sa.text('archived_at IS NULL'), postgresql_where=sa.text('archived_at IS NULL'))
    op.create_table('duties',
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('holder', sa.String(length=200), nullable=False),
    sa.Column('until', TIME, nullable=False),
    sa.Column('done_at', TIME, nullable=True),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_duties'))
    )
    op.create_table('groups',
    sa.Column('id', ID, nullable=False),
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('created_at', TIME, nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_groups'))
    )
    op.create_index('uq_groups_name_lower', 'groups', [sa.literal_column('lower(name)')], unique=True)
    op.create_table('roles',
    sa.Column('id', ID, nullable=False),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('permissions', JSON, nullable=False),
    sa.CheckConstraint("kind IN ('admin', 'member', 'viewer')", name=op.f('ck_roles_kind_word')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_roles')),
    sa.UniqueConstraint('kind', name=op.f('uq_roles_kind')),
    sa.UniqueConstraint('name', name=op.f('uq_roles_name'))
    )
    op.create_table('workers',
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('started_at', TIME, nullable=False),
    sa.Column('seen_at', TIME, nullable=False),
    sa.Column('in_flight', sa.Integer(), nullable=False),
    sa.Column('concurrency', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_workers'))
    )
    op.create_index(op.f('ix_workers_seen_at'), 'workers', ['seen_at'], unique=False)
    op.create_table('connections',
    sa.Column('id', ID, nullable=False),
    sa.Column('application_id', ID, nullable=False),
    sa.Column('type', sa.String(length=20), nullable=False),
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('config', JSON, nullable=False),
    sa.Column('created_at', TIME, nullable=False),
    sa.Column('changed_at', TIME, nullable=False),
    sa.Column('tested_at', TIME, nullable=True),
    sa.Column('test_outcome', sa.String(length=20), nullable=True),
    sa.Column('test_class', sa.String(length=30), nullable=True),
    sa.Column('test_status', sa.Integer(), nullable=True),
    sa.Column('test_duration_ms', sa.Integer(), nullable=True),
    sa.Column('test_path', sa.String(length=2048), nullable=True),
    sa.CheckConstraint("type IN ('http', 'webhook')", name=op.f('ck_connections_type_word')),
    sa.ForeignKeyConstraint(['application_id'], ['applications.id'], name=op.f('fk_connections_application_id_applications')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_connections'))
    )
    op.create_index('uq_connections_application_id_name', 'connections', ['application_id', sa.literal_column('lower(name)')], unique=True)
    op.create_table('users',
    sa.Column('id', ID, nullable=False),
    sa.Column('email', sa.String(length=320), nullable=False),
    sa.Column('first_name', sa.String(length=200), nullable=False),
    sa.Column('last_name', sa.String(length=200), nullable=False),
    sa.Column('username', sa.String(length=200), nullable=True),
    sa.Column('employee_id', sa.String(length=200), nullable=True),
    sa.Column('role_id', ID, nullable=False),
    sa.Column('is_active', sa.Boolean(), nullable=False),
    sa.Column('password_hash', sa.String(length=255), nullable=True),
    sa.Column('session_epoch', sa.Integer(), nullable=False),
    sa.Column('failed_sign_ins', sa.Integer(), nullable=False),
    sa.Column('locked_until', TIME, nullable=True),
    sa.Column('last_seen_at', TIME, nullable=True),
    sa.Column('created_at', TIME, nullable=False),
    sa.Column('deactivated_at', TIME, nullable=True),
    sa.ForeignKeyConstraint(['role_id'], ['roles.id'], name=op.f('fk_users_role_id_roles')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_users'))
    )
    op.create_index('uq_users_email_lower', 'users', [sa.literal_column('lower(email)')], unique=True)
    op.create_table('workflows',
    sa.Column('id', ID, nullable=False),
    sa.Column('application_id', ID, nullable=False),
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('description', sa.Text(), nullable=False),
    sa.Column('trigger', sa.String(length=20), nullable=False),
    sa.Column('policy', sa.String(length=20), nullable=False),
    sa.Column('is_enabled', sa.Boolean(), nullable=False),
    sa.Column('version_id', ID, nullable=True),
    sa.Column('version_number', sa.Integer(), nullable=False),
    sa.Column('step_count', sa.Integer(), nullable=False),
    sa.Column('created_at', TIME, nullable=False),
    sa.Column('deleted_at', TIME, nullable=True),
    sa.CheckConstraint("policy IN ('each_grant', 'first_active_grant', 'last_active_grant')", name=op.f('ck_workflows_policy_word')),
    sa.CheckConstraint("trigger IN ('access_granted', 'access_revoked')", name=op.f('ck_workflows_trigger_word')),
    sa.CheckConstraint('length(description) <= 2000', name=op.f('ck_workflows_description_length')),
    sa.ForeignKeyConstraint(['application_id'], ['applications.id'], name=op.f('fk_workflows_application_id_applications')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_workflows'))
    )
    op.create_index('uq_workflows_live', 'workflows', ['application_id', 'trigger'], unique=True, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
    op.create_table('api_tokens',
    sa.Column('id', ID, nullable=False),
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('token_hash', sa.String(length=64), nullable=False),
    sa.Column('permissions', JSON, nullable=False),
    sa.Column('created_at', TIME, nullable=False),
    sa.Column('created_by', sa.String(length=200), nullable=False),
    sa.Column('created_by_id', ID, nullable=True),
    sa.Column('expires_at', TIME, nullable=True),
    sa.Column('last_used_at', TIME, nullable=True),
    sa.Column('revoked_at', TIME, nullable=True),
    sa.ForeignKeyConstraint(['created_by_id'], ['users.id'], name=op.f('fk_api_tokens_created_by_id_users')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_api_tokens')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_api_tokens_token_hash'))
    )
    op.create_table('audit_events',
    sa.Column('id', ID, nullable=False),
    sa.Column('at', TIME, nullable=False),
    sa.Column('action', sa.String(length=60), nullable=False),
    sa.Column('actor_kind', sa.String(length=10), nullable=False),
    sa.Column('actor_id', ID, nullable=True),
    sa.Column('actor', sa.String(length=200), nullable=False),
    sa.Column('subject_type', sa.String(length=30), nullable=False),
    sa.Column('subject_id', sa.String(length=40), nullable=False),
    sa.Column('subject', sa.String(length=200), nullable=False),
    sa.Column('source', sa.String(length=64), nullable=False),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('changes', JSON, nullable=False),
    sa.ForeignKeyConstraint(['actor_id'], ['users.id'], name=op.f('fk_audit_events_actor_id_users')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_events'))
    )
    op.create_index(op.f('ix_audit_events_action'), 'audit_events', ['action'], unique=False)
    op.create_index('ix_audit_events_actor', 'audit_events', ['actor_id', 'id'], unique=False)
    op.create_index(op.f('ix_audit_events_at'), 'audit_events', ['at'], unique=False)
    op.create_index('ix_audit_events_subject', 'audit_events', ['subject_type', 'subject_id', 'id'], unique=False)
    op.create_table('credentials',
    sa.Column('id', ID, nullable=False),
    sa.Column('connection_id', ID, nullable=False),
    sa.Column('sealed', sa.Text(), nullable=False),
    sa.Column('key_id', sa.String(length=20), nullable=False),
    sa.Column('set_at', TIME, nullable=False),
    sa.Column('set_by', sa.String(length=200), nullable=False),
    sa.Column('set_by_id', ID, nullable=True),
    sa.Column('last_used_at', TIME, nullable=True),
    sa.Column('last_ok', sa.Boolean(), nullable=True),
    sa.ForeignKeyConstraint(['connection_id'], ['connections.id'], name=op.f('fk_credentials_connection_id_connections'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['set_by_id'], ['users.id'], name=op.f('fk_credentials_set_by_id_users')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_credentials')),
    sa.UniqueConstraint('connection_id', name=op.f('uq_credentials_connection_id'))
    )
    op.create_index(op.f('ix_credentials_key_id'), 'credentials', ['key_id'], unique=False)
    op.create_table('external_accounts',
    sa.Column('id', ID, nullable=False),
    sa.Column('user_id', ID, nullable=False),
    sa.Column('application_id', ID, nullable=False),
    sa.Column('captured', JSON, nullable=False),
    sa.Column('state', sa.String(length=20), nullable=False),
    sa.Column('run_id', ID, nullable=True),
    sa.Column('updated_at', TIME, nullable=True),
    sa.ForeignKeyConstraint(['application_id'], ['applications.id'], name=op.f('fk_external_accounts_application_id_applications')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_external_accounts_user_id_users')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_external_accounts')),
    sa.UniqueConstraint('user_id', 'application_id', name=op.f('uq_external_accounts_user_id_application_id'))
    )
    op.create_index(op.f('ix_external_accounts_application_id'), 'external_accounts', ['application_id'], unique=False)
    op.create_table('grants',
    sa.Column('id', ID, nullable=False),
    sa.Column('user_id', ID, nullable=False),
    sa.Column('application_id', ID, nullable=False),
    sa.Column('access_level', sa.String(length=100), nullable=False),
    sa.Column('notes', sa.Text(), nullable=False),
    sa.Column('granted_at', TIME, nullable=False),
    sa.Column('granted_by', sa.String(length=200), nullable=False),
    sa.Column('granted_by_id', ID, nullable=True),
    sa.Column('expires_at', TIME, nullable=True),
    sa.Column('revoked_at', TIME, nullable=True),
    sa.Column('revoked_by', sa.String(length=200), nullable=True),
    sa.Column('revoked_by_id', ID, nullable=True),
    sa.Column('state', sa.String(length=20), nullable=False),
    sa.Column('state_reason', sa.String(length=30), nullable=True),
    sa.Column('newest_run_id', ID, nullable=True),
    sa.CheckConstraint("state IN ('provisioning', 'provisioned', 'deprovisioning', 'deprovisioned', 'waiting', 'needs_attention', 'superseded', 'no_automation')", name=op.f('ck_grants_state_word')),
    sa.CheckConstraint('length(access_level) <= 100', name=op.f('ck_grants_access_level_length')),
    sa.CheckConstraint('length(notes) <= 2000', name=op.f('ck_grants_notes_length')),
    sa.CheckConstraint('revoked_at IS NULL OR revoked_by IS NOT NULL', name=op.f('ck_grants_revoked_by')),
    sa.ForeignKeyConstraint(['application_id'], ['applications.id'], name=op.f('fk_grants_application_id_applications')),
    sa.ForeignKeyConstraint(['granted_by_id'], ['users.id'], name=op.f('fk_grants_granted_by_id_users')),
    sa.ForeignKeyConstraint(['revoked_by_id'], ['users.id'], name=op.f('fk_grants_revoked_by_id_users')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_grants_user_id_users')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_grants'))
    )
    op.create_index('ix_grants_application', 'grants', ['application_id', 'id'], unique=False)
    op.create_index('ix_grants_application_state', 'grants', ['application_id', 'state', 'id'], unique=False)
    op.create_index('ix_grants_expiry', 'grants', ['expires_at'], unique=False, sqlite_where=sa.text('revoked_at IS NULL AND expires_at IS NOT NULL'), postgresql_where=sa.text('revoked_at IS NULL AND expires_at IS NOT NULL'))
    op.create_index('ix_grants_pair', 'grants', ['user_id', 'application_id'], unique=False)
    op.create_index('ix_grants_state', 'grants', ['state', 'id'], unique=False)
    op.create_table('group_members',
    sa.Column('group_id', ID, nullable=False),
    sa.Column('user_id', ID, nullable=False),
    sa.ForeignKeyConstraint(['group_id'], ['groups.id'], name=op.f('fk_group_members_group_id_groups'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_group_members_user_id_users')),
    sa.PrimaryKeyConstraint('group_id', 'user_id', name=op.f('pk_group_members'))
    )
    op.create_index(op.f('ix_group_members_user_id'), 'group_members', ['user_id'], unique=False)
    op.create_table('sign_in_links',
    sa.Column('id', ID, nullable=False),
    sa.Column('user_id', ID, nullable=False),
    sa.Column('token_hash', sa.String(length=64), nullable=False),
    sa.Column('created_at', TIME, nullable=False),
    sa.Column('expires_at', TIME, nullable=False),
    sa.Column('used_at', TIME, nullable=True),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_sign_in_links_user_id_users')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sign_in_links')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_sign_in_links_token_hash'))
    )
    op.create_index(op.f('ix_sign_in_links_user_id'), 'sign_in_links', ['user_id'], unique=False)
    op.create_table('workflow_versions',
    sa.Column('id', ID, nullable=False),
    sa.Column('workflow_id', ID, nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('steps', JSON, nullable=False),
    sa.Column('note', sa.Text(), nullable=False),
    sa.Column('created_at', TIME, nullable=False),
    sa.Column('created_by', sa.String(length=200), nullable=False),
    sa.Column('created_by_id', ID, nullable=True),
    sa.CheckConstraint('length(note) <= 2000', name=op.f('ck_workflow_versions_note_length')),
    sa.CheckConstraint('number > 0', name=op.f('ck_workflow_versions_number')),
    sa.ForeignKeyConstraint(['created_by_id'], ['users.id'], name=op.f('fk_workflow_versions_created_by_id_users')),
    sa.ForeignKeyConstraint(['workflow_id'], ['workflows.id'], name=op.f('fk_workflow_versions_workflow_id_workflows')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_workflow_versions')),
    sa.UniqueConstraint('workflow_id', 'number', name=op.f('uq_workflow_versions_workflow_id_number'))
    )
    op.create_table('idempotency_keys',
    sa.Column('id', ID, nullable=False),
    sa.Column('token_id', ID, nullable=False),
    sa.Column('key', sa.String(length=255), nullable=False),
    sa.Column('fingerprint', sa.String(length=64), nullable=False),
    sa.Column('status', sa.Integer(), nullable=False),
    sa.Column('body', sa.String(), nullable=False),
    sa.Column('created_at', TIME, nullable=False),
    sa.ForeignKeyConstraint(['token_id'], ['api_tokens.id'], name=op.f('fk_idempotency_keys_token_id_api_tokens'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_idempotency_keys')),
    sa.UniqueConstraint('token_id', 'key', name=op.f('uq_idempotency_keys_token_id_key'))
    )
    op.create_index(op.f('ix_idempotency_keys_created_at'), 'idempotency_keys', ['created_at'], unique=False)
    op.create_table('runs',
    sa.Column('id', ID, nullable=False),
    sa.Column('uid', sa.String(length=32), nullable=False),
    sa.Column('workflow_id', ID, nullable=False),
    sa.Column('version_id', ID, nullable=False),
    sa.Column('version_number', sa.Integer(), nullable=False),
    sa.Column('grant_id', ID, nullable=False),
    sa.Column('application_id', ID, nullable=False),
    sa.Column('user_id', ID, nullable=False),
    sa.Column('trigger', sa.String(length=20), nullable=False),
    sa.Column('policy', sa.String(length=20), nullable=False),
    sa.Column('sequence', sa.Integer(), nullable=False),
    sa.Column('occurred_at', TIME, nullable=False),
    sa.Column('cause', sa.String(length=200), nullable=False),
    sa.Column('caused_by_id', ID, nullable=True),
    sa.Column('replaces_run_id', ID, nullable=True),
    sa.Column('status', sa.String(length=20), nullable=False),
    sa.Column('cursor', sa.String(length=200), nullable=True),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.Column('deaths', sa.Integer(), nullable=False),
    sa.Column('in_flight', sa.Boolean(), nullable=False),
    sa.Column('compensating', sa.Boolean(), nullable=False),
    sa.Column('task_origin', sa.String(length=20), nullable=True),
    sa.Column('failure_ignored', sa.Boolean(), nullable=False),
    sa.Column('captured', JSON, nullable=False),
    sa.Column('attempts_made', JSON, nullable=False),
    sa.Column('due_at', TIME, nullable=True),
    sa.Column('lease_until', TIME, nullable=True),
    sa.Column('worker', sa.String(length=200), nullable=True),
    sa.Column('fence', sa.Integer(), nullable=False),
    sa.Column('holds_lane', sa.Boolean(), nullable=False),
    sa.Column('cancel_requested_by', sa.String(length=200), nullable=True),
    sa.Column('cancel_reason', sa.Text(), nullable=True),
    sa.Column('ended_because', sa.Text(), nullable=True),
    sa.Column('failure_step', sa.String(length=200), nullable=True),
    sa.Column('failure_class', sa.String(length=30), nullable=True),
    sa.Column('failure_status', sa.Integer(), nullable=True),
    sa.Column('failure_detail', sa.Text(), nullable=True),
    sa.Column('outcome_unknown', sa.Boolean(), nullable=False),
    sa.Column('created_at', TIME, nullable=False),
    sa.Column('started_at', TIME, nullable=True),
    sa.Column('finished_at', TIME, nullable=True),
    sa.Column('changed_at', TIME, nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.CheckConstraint("failure_class IN ('http_5xx', 'wait', 'http_4xx', 'redirect', 'unexpected_status', 'timeout', 'network', 'tls', 'egress_blocked', 'configuration', 'mapping', 'outcome_unknown', 'worker_lost')", name=op.f('ck_runs_failure_class_word')),
    sa.CheckConstraint("policy IN ('each_grant', 'first_active_grant', 'last_active_grant')", name=op.f('ck_runs_policy_word')),
    sa.CheckConstraint("status = 'running' OR worker IS NULL", name=op.f('ck_runs_held_only_while_running')),
    sa.CheckConstraint("status IN ('queued', 'running') OR due_at IS NULL", name=op.f('ck_runs_due_only_while_moving')),
    sa.CheckConstraint("status IN ('queued', 'running', 'waiting_manual', 'succeeded', 'failed', 'compensated', 'superseded', 'cancelled')", name=op.f('ck_runs_status_word')),
    sa.CheckConstraint("trigger IN ('access_granted', 'access_revoked')", name=op.f('ck_runs_trigger_word')),
    sa.CheckConstraint('sequence >= 0', name=op.f('ck_runs_sequence')),
    sa.ForeignKeyConstraint(['application_id'], ['applications.id'], name=op.f('fk_runs_application_id_applications')),
    sa.ForeignKeyConstraint(['caused_by_id'], ['users.id'], name=op.f('fk_runs_caused_by_id_users')),
    sa.ForeignKeyConstraint(['grant_id'], ['grants.id'], name=op.f('fk_runs_grant_id_grants')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_runs_user_id_users')),
    sa.ForeignKeyConstraint(['version_id'], ['workflow_versions.id'], name=op.f('fk_runs_version_id_workflow_versions')),
    sa.ForeignKeyConstraint(['workflow_id'], ['workflows.id'], name=op.f('fk_runs_workflow_id_workflows')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_runs')),
    sa.UniqueConstraint('grant_id', 'trigger', 'sequence', name=op.f('uq_runs_grant_id_trigger_sequence'))
    )
    op.create_index('ix_runs_application', 'runs', ['application_id', 'id'], unique=False)
    op.create_index('ix_runs_application_unusual', 'runs', ['application_id', 'status', 'id'], unique=False, sqlite_where=sa.text("status NOT IN ('queued', 'running', 'succeeded')"), postgresql_where=sa.text("status NOT IN ('queued', 'running', 'succeeded')"))
    op.create_index('ix_runs_due', 'runs', ['due_at'], unique=False, sqlite_where=sa.text("status IN ('queued', 'running')"), postgresql_where=sa.text("status IN ('queued', 'running')"))
    op.create_index('ix_runs_failure', 'runs', ['failure_class', 'id'], unique=False, sqlite_where=sa.text('failure_class IS NOT NULL'), postgresql_where=sa.text('failure_class IS NOT NULL'))
    op.create_index('ix_runs_lane_order', 'runs', ['user_id', 'application_id', 'id'], unique=False, sqlite_where=sa.text("status IN ('queued', 'running', 'waiting_manual', 'failed')"), postgresql_where=sa.text("status IN ('queued', 'running', 'waiting_manual', 'failed')"))
    op.create_index('ix_runs_lease', 'runs', ['lease_until'], unique=False, sqlite_where=sa.text('worker IS NOT NULL'), postgresql_where=sa.text('worker IS NOT NULL'))
    op.create_index('ix_runs_unusual', 'runs', ['status', 'id'], unique=False, sqlite_where=sa.text("status NOT IN ('queued', 'running', 'succeeded')"), postgresql_where=sa.text("status NOT IN ('queued', 'running', 'succeeded')"))
    op.create_index('ix_runs_user', 'runs', ['user_id', 'id'], unique=False)
    op.create_index('uq_runs_lane', 'runs', ['user_id', 'application_id'], unique=True, sqlite_where=sa.text('holds_lane'), postgresql_where=sa.text('holds_lane'))
    op.create_table('trigger_decisions',
    sa.Column('id', ID, nullable=False),
    sa.Column('grant_id', ID, nullable=False),
    sa.Column('trigger', sa.String(length=20), nullable=False),
    sa.Column('at', TIME, nullable=False),
    sa.Column('outcome', sa.String(length=10), nullable=False),
    sa.Column('reason', sa.String(length=30), nullable=True),
    sa.Column('workflow_id', ID, nullable=True),
    sa.Column('version_id', ID, nullable=True),
    sa.Column('checks', JSON, nullable=False),
    sa.Column('run_id', ID, nullable=True),
    sa.CheckConstraint("(outcome = 'run') = (reason IS NULL)", name=op.f('ck_trigger_decisions_reason_given')),
    sa.CheckConstraint("outcome IN ('run', 'no_run')", name=op.f('ck_trigger_decisions_outcome_word')),
    sa.CheckConstraint("reason IN ('no_workflow', 'trigger_mismatch', 'workflow_disabled', 'no_steps', 'other_active_grant', 'recorded_only')", name=op.f('ck_trigger_decisions_reason_word')),
    sa.CheckConstraint("trigger IN ('access_granted', 'access_revoked')", name=op.f('ck_trigger_decisions_trigger_word')),
    sa.ForeignKeyConstraint(['grant_id'], ['grants.id'], name=op.f('fk_trigger_decisions_grant_id_grants')),
    sa.ForeignKeyConstraint(['version_id'], ['workflow_versions.id'], name=op.f('fk_trigger_decisions_version_id_workflow_versions')),
    sa.ForeignKeyConstraint(['workflow_id'], ['workflows.id'], name=op.f('fk_trigger_decisions_workflow_id_workflows')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_trigger_decisions')),
    sa.UniqueConstraint('grant_id', 'trigger', name=op.f('uq_trigger_decisions_grant_id_trigger'))
    )
    op.create_table('attempts',
    sa.Column('id', ID, nullable=False),
    sa.Column('run_id', ID, nullable=False),
    sa.Column('step_key', sa.String(length=200), nullable=False),
    sa.Column('step_type', sa.String(length=20), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.Column('of', sa.Integer(), nullable=False),
    sa.Column('status', sa.String(length=20), nullable=False),
    sa.Column('failure_class', sa.String(length=30), nullable=True),
    sa.Column('http_status', sa.Integer(), nullable=True),
    sa.Column('outcome_unknown', sa.Boolean(), nullable=False),
    sa.Column('compensation', sa.Boolean(), nullable=False),
    sa.Column('edge', sa.Text(), nullable=True),
    sa.Column('detail', sa.Text(), nullable=True),
    sa.Column('next_attempt_at', TIME, nullable=True),
    sa.Column('started_at', TIME, nullable=False),
    sa.Column('finished_at', TIME, nullable=True),
    sa.Column('duration_ms', sa.Integer(), nullable=True),
    sa.Column('method', sa.String(length=10), nullable=True),
    sa.Column('host', sa.String(length=300), nullable=True),
    sa.Column('path_template', sa.String(length=2048), nullable=True),
    sa.Column('fields', JSON, nullable=True),
    sa.Column('captured', JSON, nullable=True),
    sa.Column('task_id', ID, nullable=True),
    sa.Column('worker', sa.String(length=200), nullable=True),
    sa.Column('late_note', sa.Text(), nullable=True),
    sa.CheckConstraint("failure_class IN ('http_5xx', 'wait', 'http_4xx', 'redirect', 'unexpected_status', 'timeout', 'network', 'tls', 'egress_blocked', 'configuration', 'mapping', 'outcome_unknown', 'worker_lost')", name=op.f('ck_attempts_failure_class_word')),
    sa.CheckConstraint("status IN ('started', 'succeeded', 'failed', 'waiting', 'submitted', 'skipped', 'retried', 'obsolete')", name=op.f('ck_attempts_status_word')),
    sa.ForeignKeyConstraint(['run_id'], ['runs.id'], name=op.f('fk_attempts_run_id_runs')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_attempts')),
    sa.UniqueConstraint('run_id', 'step_key', 'number', name=op.f('uq_attempts_run_id_step_key_number'))
    )
    op.create_index('uq_attempts_in_flight', 'attempts', ['run_id'], unique=True, sqlite_where=sa.text("status = 'started'"), postgresql_where=sa.text("status = 'started'"))
    op.create_table('manual_tasks',
    sa.Column('id', ID, nullable=False),
    sa.Column('run_id', ID, nullable=False),
    sa.Column('application_id', ID, nullable=False),
    sa.Column('step_key', sa.String(length=200), nullable=False),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('origin', sa.String(length=20), nullable=False),
    sa.Column('outcome_unknown', sa.Boolean(), nullable=False),
    sa.Column('prompt', sa.Text(), nullable=False),
    sa.Column('fields', JSON, nullable=False),
    sa.Column('assignee_user_id', ID, nullable=True),
    sa.Column('assignee_group_id', ID, nullable=True),
    sa.Column('due_at', TIME, nullable=True),
    sa.Column('status', sa.String(length=20), nullable=False),
    sa.Column('outcome', sa.String(length=20), nullable=True),
    sa.Column('input', JSON, nullable=True),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('acted_by', sa.String(length=200), nullable=True),
    sa.Column('acted_by_id', ID, nullable=True),
    sa.Column('acted_at', TIME, nullable=True),
    sa.Column('created_at', TIME, nullable=False),
    sa.CheckConstraint("(status = 'done') = (outcome IS NOT NULL)", name=op.f('ck_manual_tasks_outcome_when_done')),
    sa.CheckConstraint("origin IN ('human_task', 'escalated_failure')", name=op.f('ck_manual_tasks_origin_word')),
    sa.CheckConstraint("outcome IN ('submitted', 'skipped', 'failed', 'retried')", name=op.f('ck_manual_tasks_outcome_word')),
    sa.CheckConstraint("status IN ('pending', 'done', 'obsolete')", name=op.f('ck_manual_tasks_status_word')),
    sa.ForeignKeyConstraint(['acted_by_id'], ['users.id'], name=op.f('fk_manual_tasks_acted_by_id_users')),
    sa.ForeignKeyConstraint(['application_id'], ['applications.id'], name=op.f('fk_manual_tasks_application_id_applications')),
    sa.ForeignKeyConstraint(['assignee_group_id'], ['groups.id'], name=op.f('fk_manual_tasks_assignee_group_id_groups')),
    sa.ForeignKeyConstraint(['assignee_user_id'], ['users.id'], name=op.f('fk_manual_tasks_assignee_user_id_users')),
    sa.ForeignKeyConstraint(['run_id'], ['runs.id'], name=op.f('fk_manual_tasks_run_id_runs')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_manual_tasks'))
    )
    op.create_index('ix_manual_tasks_run', 'manual_tasks', ['run_id'], unique=False)
    op.create_index('ix_manual_tasks_status', 'manual_tasks', ['status', 'id'], unique=False)
    op.create_index('uq_manual_tasks_pending', 'manual_tasks', ['run_id'], unique=True, sqlite_where=sa.text("status = 'pending'"), postgresql_where=sa.text("status = 'pending'"))
    op.create_table('run_events',
    sa.Column('id', ID, nullable=False),
    sa.Column('run_id', ID, nullable=False),
    sa.Column('at', TIME, nullable=False),
    sa.Column('kind', sa.String(length=40), nullable=False),
    sa.Column('message', sa.Text(), nullable=False),
    sa.Column('by', sa.String(length=200), nullable=True),
    sa.ForeignKeyConstraint(['run_id'], ['runs.id'], name=op.f('fk_run_events_run_id_runs')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_run_events'))
    )
    op.create_index('ix_run_events_run', 'run_events', ['run_id', 'id'], unique=False)
    op.create_table('run_overrides',
    sa.Column('run_id', ID, nullable=False),
    sa.Column('step_key', sa.String(length=200), nullable=False),
    sa.Column('sealed', sa.Text(), nullable=True),
    sa.Column('fields', JSON, nullable=False),
    sa.Column('created_at', TIME, nullable=False),
    sa.ForeignKeyConstraint(['run_id'], ['runs.id'], name=op.f('fk_run_overrides_run_id_runs')),
    sa.PrimaryKeyConstraint('run_id', name=op.f('pk_run_overrides'))
    )


def downgrade() -> None:
    for table in (
        "run_overrides",
        "run_events",
        "manual_tasks",
        "attempts",
        "trigger_decisions",
        "runs",
        "idempotency_keys",
        "workflow_versions",
        "sign_in_links",
        "group_members",
        "grants",
        "external_accounts",
        "credentials",
        "audit_events",
        "api_tokens",
        "workflows",
        "users",
        "connections",
        "workers",
        "roles",
        "groups",
        "duties",
        "applications",
    ):
        op.drop_table(table)
