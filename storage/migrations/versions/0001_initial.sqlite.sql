CREATE TABLE audit_bodies (
	tenant VARCHAR(200) NOT NULL, 
	seq BIGINT NOT NULL, 
	key_generation INTEGER NOT NULL, 
	sealed BLOB NOT NULL, 
	CONSTRAINT pk_audit_bodies PRIMARY KEY (tenant, seq)
)
-- next
CREATE TABLE audit_chains (
	tenant VARCHAR(200) NOT NULL, 
	seq BIGINT NOT NULL, 
	digest VARCHAR(71) NOT NULL, 
	key_generation INTEGER NOT NULL, 
	CONSTRAINT pk_audit_chains PRIMARY KEY (tenant)
)
-- next
CREATE TABLE audit_checkpoints (
	tenant VARCHAR(200) NOT NULL, 
	seq BIGINT NOT NULL, 
	digest VARCHAR(71) NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	signature VARCHAR(128) NOT NULL, 
	CONSTRAINT pk_audit_checkpoints PRIMARY KEY (tenant, seq)
)
-- next
CREATE TABLE audit_keys (
	tenant VARCHAR(200) NOT NULL, 
	generation INTEGER NOT NULL, 
	wrapped BLOB, 
	CONSTRAINT pk_audit_keys PRIMARY KEY (tenant, generation)
)
-- next
CREATE TABLE audit_records (
	tenant VARCHAR(200) NOT NULL, 
	seq BIGINT NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	action VARCHAR(64) NOT NULL, 
	subject VARCHAR(300) NOT NULL, 
	actor VARCHAR(200) NOT NULL, 
	body_digest VARCHAR(71) NOT NULL, 
	previous VARCHAR(71) NOT NULL, 
	digest VARCHAR(71) NOT NULL, 
	CONSTRAINT pk_audit_records PRIMARY KEY (tenant, seq)
)
-- next
CREATE INDEX ix_audit_records_tenant_subject ON audit_records (tenant, subject, seq)
-- next
CREATE TABLE autonomy_history (
	id VARCHAR(26) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	environment VARCHAR(200) NOT NULL, 
	kind VARCHAR(64) NOT NULL, 
	"before" VARCHAR(8) NOT NULL, 
	"after" VARCHAR(8) NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	"by" VARCHAR(200) NOT NULL, 
	command VARCHAR(26), 
	reason TEXT NOT NULL, 
	CONSTRAINT pk_autonomy_history PRIMARY KEY (id)
)
-- next
CREATE INDEX ix_autonomy_history_place ON autonomy_history (tenant, environment, kind, id)
-- next
CREATE TABLE autonomy_levels (
	tenant VARCHAR(200) NOT NULL, 
	environment VARCHAR(200) NOT NULL, 
	kind VARCHAR(64) NOT NULL, 
	level VARCHAR(8) NOT NULL, 
	changed_at VARCHAR(27) NOT NULL, 
	CONSTRAINT pk_autonomy_levels PRIMARY KEY (tenant, environment, kind)
)
-- next
CREATE TABLE autonomy_outcomes (
	id VARCHAR(26) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	environment VARCHAR(200) NOT NULL, 
	kind VARCHAR(64) NOT NULL, 
	command VARCHAR(26) NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	CONSTRAINT pk_autonomy_outcomes PRIMARY KEY (id), 
	CONSTRAINT uq_autonomy_outcomes_command_state UNIQUE (command, state)
)
-- next
CREATE INDEX ix_autonomy_outcomes_place ON autonomy_outcomes (tenant, environment, kind, id)
-- next
CREATE TABLE budgets (
	tenant VARCHAR(200) NOT NULL, 
	resource VARCHAR(32) NOT NULL, 
	"limit" FLOAT NOT NULL, 
	window_s INTEGER NOT NULL, 
	CONSTRAINT pk_budgets PRIMARY KEY (tenant, resource)
)
-- next
CREATE TABLE change_plans (
	id VARCHAR(26) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	environment VARCHAR(200) NOT NULL, 
	idempotency_key VARCHAR(300) NOT NULL, 
	digest VARCHAR(71) NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	version INTEGER NOT NULL, 
	reason TEXT NOT NULL, 
	rationale TEXT NOT NULL, 
	updated_at VARCHAR(27) NOT NULL, 
	body JSON NOT NULL, 
	CONSTRAINT pk_change_plans PRIMARY KEY (id), 
	CONSTRAINT uq_change_plans_tenant_idempotency_key UNIQUE (tenant, idempotency_key)
)
-- next
CREATE INDEX ix_change_plans_state ON change_plans (state, id)
-- next
CREATE TABLE commands (
	id VARCHAR(26) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	environment VARCHAR(200) NOT NULL, 
	kind VARCHAR(64) NOT NULL, 
	target VARCHAR(300) NOT NULL, 
	proposer VARCHAR(200) NOT NULL, 
	incident VARCHAR(200), 
	parent VARCHAR(26), 
	role VARCHAR(8) NOT NULL, 
	idempotency_key VARCHAR(300) NOT NULL, 
	proposal_key VARCHAR(300), 
	digest VARCHAR(71) NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	version INTEGER NOT NULL, 
	reason TEXT NOT NULL, 
	decided_by VARCHAR(200), 
	policy_digest VARCHAR(71), 
	approval_expires_at VARCHAR(27), 
	fencing BIGINT, 
	worker VARCHAR(200), 
	lease_until VARCHAR(27), 
	expires_at VARCHAR(27) NOT NULL, 
	proposed_at VARCHAR(27) NOT NULL, 
	updated_at VARCHAR(27) NOT NULL, 
	body JSON NOT NULL, 
	CONSTRAINT pk_commands PRIMARY KEY (id), 
	CONSTRAINT uq_commands_tenant_idempotency_key UNIQUE (tenant, idempotency_key), 
	CONSTRAINT uq_commands_tenant_proposal_key UNIQUE (tenant, proposal_key)
)
-- next
CREATE INDEX ix_commands_state_lease_until ON commands (state, lease_until)
-- next
CREATE INDEX ix_commands_tenant_incident ON commands (tenant, incident)
-- next
CREATE INDEX ix_commands_tenant_state ON commands (tenant, state, id)
-- next
CREATE TABLE consumed (
	consumer VARCHAR(64) NOT NULL, 
	event VARCHAR(26) NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	CONSTRAINT pk_consumed PRIMARY KEY (consumer, event)
)
-- next
CREATE TABLE counters (
	name VARCHAR(64) NOT NULL, 
	value BIGINT NOT NULL, 
	CONSTRAINT pk_counters PRIMARY KEY (name)
)
-- next
CREATE TABLE cursors (
	consumer VARCHAR(64) NOT NULL, 
	position VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_cursors PRIMARY KEY (consumer)
)
-- next
CREATE TABLE dead_letters (
	subscription VARCHAR(200) NOT NULL, 
	seq BIGINT NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	body JSON NOT NULL, 
	CONSTRAINT pk_dead_letters PRIMARY KEY (subscription, seq)
)
-- next
CREATE TABLE events (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	"key" VARCHAR(26) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	source VARCHAR(512) NOT NULL, 
	id VARCHAR(256) NOT NULL, 
	type VARCHAR(200) NOT NULL, 
	subject VARCHAR(512), 
	time VARCHAR(27) NOT NULL, 
	received_at VARCHAR(27) NOT NULL, 
	environmentid VARCHAR(200), 
	serviceid VARCHAR(200), 
	region VARCHAR(200), 
	computetarget VARCHAR(200), 
	deploymentid TEXT, 
	severity VARCHAR(16) NOT NULL, 
	traceparent TEXT, 
	correlationid TEXT, 
	causationid TEXT, 
	sequence TEXT, 
	extensions TEXT, 
	data TEXT, 
	trust VARCHAR(16) NOT NULL, 
	body_digest VARCHAR(71) NOT NULL, 
	sender VARCHAR(200) NOT NULL, 
	CONSTRAINT uq_events_tenant_source_id UNIQUE (tenant, source, id), 
	CONSTRAINT uq_events_key UNIQUE ("key")
)
-- next
CREATE INDEX ix_events_tenant_serviceid_time ON events (tenant, serviceid, time)
-- next
CREATE INDEX ix_events_tenant_time ON events (tenant, time)
-- next
CREATE TABLE facts_snapshots (
	tenant VARCHAR(200) NOT NULL, 
	digest VARCHAR(71) NOT NULL, 
	body JSON NOT NULL, 
	stored_at VARCHAR(27) NOT NULL, 
	CONSTRAINT pk_facts_snapshots PRIMARY KEY (tenant, digest)
)
-- next
CREATE TABLE feed (
	seq INTEGER NOT NULL, 
	id VARCHAR(26) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	type VARCHAR(200) NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	body JSON NOT NULL, 
	CONSTRAINT pk_feed PRIMARY KEY (seq), 
	CONSTRAINT uq_feed_id UNIQUE (id)
)
-- next
CREATE INDEX ix_feed_at ON feed (at)
-- next
CREATE INDEX ix_feed_tenant_seq ON feed (tenant, seq)
-- next
CREATE TABLE freezes (
	id VARCHAR(26) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	environment VARCHAR(200) NOT NULL, 
	start VARCHAR(27) NOT NULL, 
	"end" VARCHAR(27) NOT NULL, 
	reason TEXT NOT NULL, 
	"by" VARCHAR(200) NOT NULL, 
	CONSTRAINT pk_freezes PRIMARY KEY (id)
)
-- next
CREATE INDEX ix_freezes_tenant ON freezes (tenant)
-- next
CREATE TABLE incidents (
	id VARCHAR(26) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	environment VARCHAR(200) NOT NULL, 
	status VARCHAR(20) NOT NULL, 
	fingerprint VARCHAR(80) NOT NULL, 
	opened_at VARCHAR(27) NOT NULL, 
	last_event_at VARCHAR(27) NOT NULL, 
	body JSON NOT NULL, 
	CONSTRAINT pk_incidents PRIMARY KEY (id)
)
-- next
CREATE INDEX ix_incidents_environment_status ON incidents (environment, status)
-- next
CREATE INDEX ix_incidents_tenant_status ON incidents (tenant, status)
-- next
CREATE TABLE index_documents (
	tenant VARCHAR(200) NOT NULL, 
	id VARCHAR(80) NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	text VARCHAR NOT NULL, 
	trust VARCHAR(20) NOT NULL, 
	source VARCHAR(512) NOT NULL, 
	digest VARCHAR(80) NOT NULL, 
	body JSON NOT NULL, 
	count INTEGER NOT NULL, 
	weight FLOAT NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	embedding VARCHAR(200) NOT NULL, 
	vector BLOB NOT NULL, 
	CONSTRAINT pk_index_documents PRIMARY KEY (tenant, id)
)
-- next
CREATE INDEX ix_index_documents_tenant_kind ON index_documents (tenant, kind)
-- next
CREATE TABLE index_tokens (
	tenant VARCHAR(200) NOT NULL, 
	token VARCHAR(100) NOT NULL, 
	document VARCHAR(80) NOT NULL, 
	CONSTRAINT pk_index_tokens PRIMARY KEY (tenant, token, document), 
	CONSTRAINT uq_index_tokens_tenant_document_token UNIQUE (tenant, document, token)
)
-- next
CREATE TABLE kept_answers (
	id VARCHAR(64) NOT NULL, 
	request VARCHAR(80) NOT NULL, 
	sealed BLOB, 
	at VARCHAR(27) NOT NULL, 
	CONSTRAINT pk_kept_answers PRIMARY KEY (id)
)
-- next
CREATE TABLE kill_switches (
	scope VARCHAR(16) NOT NULL, 
	value VARCHAR(200) NOT NULL, 
	engaged_by VARCHAR(200) NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	reason TEXT NOT NULL, 
	undos_continue BOOLEAN NOT NULL, 
	CONSTRAINT pk_kill_switches PRIMARY KEY (scope, value)
)
-- next
CREATE TABLE log_records (
	seq INTEGER NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	environment VARCHAR(200) NOT NULL, 
	entity VARCHAR(200) NOT NULL, 
	time VARCHAR(27) NOT NULL, 
	severity VARCHAR(16) NOT NULL, 
	message TEXT NOT NULL, 
	trace VARCHAR(32), 
	span VARCHAR(16), 
	CONSTRAINT pk_log_records PRIMARY KEY (seq)
)
-- next
CREATE INDEX ix_log_records_window ON log_records (tenant, environment, time)
-- next
CREATE TABLE metric_points (
	tenant VARCHAR(200) NOT NULL, 
	environment VARCHAR(200) NOT NULL, 
	entity VARCHAR(200) NOT NULL, 
	metric VARCHAR(200) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	statistic VARCHAR(32) NOT NULL, 
	unit VARCHAR(32) NOT NULL, 
	time VARCHAR(27) NOT NULL, 
	value FLOAT NOT NULL
)
-- next
CREATE INDEX ix_metric_points_window ON metric_points (tenant, environment, time)
-- next
CREATE TABLE outbox (
	seq INTEGER NOT NULL, 
	id VARCHAR(26) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	body JSON NOT NULL, 
	leased_until VARCHAR(27), 
	deliveries INTEGER NOT NULL, 
	CONSTRAINT pk_outbox PRIMARY KEY (seq), 
	CONSTRAINT uq_outbox_id UNIQUE (id)
)
-- next
CREATE TABLE outcomes (
	command VARCHAR(26) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	environment VARCHAR(200) NOT NULL, 
	incident VARCHAR(26), 
	kind VARCHAR(64) NOT NULL, 
	state VARCHAR(32) NOT NULL, 
	body JSON NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	CONSTRAINT pk_outcomes PRIMARY KEY (command)
)
-- next
CREATE INDEX ix_outcomes_tenant_at ON outcomes (tenant, at)
-- next
CREATE TABLE pages (
	id VARCHAR(26) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	command VARCHAR(26), 
	incident VARCHAR(26), 
	reason VARCHAR(2000) NOT NULL, 
	runbook VARCHAR(8000) NOT NULL, 
	owner_team VARCHAR(200) NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	acknowledged_by VARCHAR(200), 
	CONSTRAINT pk_pages PRIMARY KEY (id)
)
-- next
CREATE TABLE policy_sets (
	digest VARCHAR(71) NOT NULL, 
	body JSON NOT NULL, 
	stored_at VARCHAR(27) NOT NULL, 
	CONSTRAINT pk_policy_sets PRIMARY KEY (digest)
)
-- next
CREATE TABLE principals (
	id VARCHAR(200) NOT NULL, 
	kind VARCHAR(8) NOT NULL, 
	name TEXT NOT NULL, 
	created_at VARCHAR(27) NOT NULL, 
	disabled_at VARCHAR(27), 
	CONSTRAINT pk_principals PRIMARY KEY (id)
)
-- next
CREATE TABLE quarantine (
	id VARCHAR(26) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	received_at VARCHAR(27) NOT NULL, 
	source VARCHAR(512) NOT NULL, 
	sender VARCHAR(200) NOT NULL, 
	channel VARCHAR(32) NOT NULL, 
	reason VARCHAR(32) NOT NULL, 
	detail TEXT NOT NULL, 
	body TEXT NOT NULL, 
	body_digest VARCHAR(71) NOT NULL, 
	size BIGINT NOT NULL, 
	line BIGINT, 
	CONSTRAINT pk_quarantine PRIMARY KEY (id)
)
-- next
CREATE INDEX ix_quarantine_tenant_received_at ON quarantine (tenant, received_at)
-- next
CREATE TABLE runs (
	id VARCHAR(26) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	environment VARCHAR(200) NOT NULL, 
	incident VARCHAR(26) NOT NULL, 
	agent VARCHAR(64) NOT NULL, 
	attempt INTEGER NOT NULL, 
	evidence_digest VARCHAR(80) NOT NULL, 
	pack JSON NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	diagnosis JSON, 
	steps JSON, 
	proposals JSON, 
	started_at VARCHAR(27) NOT NULL, 
	ended_at VARCHAR(27), 
	look_again_at VARCHAR(27), 
	trace VARCHAR(64), 
	CONSTRAINT pk_runs PRIMARY KEY (id), 
	CONSTRAINT uq_runs_tenant_incident_agent_attempt_evidence_digest UNIQUE (tenant, incident, agent, attempt, evidence_digest)
)
-- next
CREATE INDEX ix_runs_tenant_incident ON runs (tenant, incident)
-- next
CREATE TABLE source_keys (
	id VARCHAR(200) NOT NULL, 
	source VARCHAR(512) NOT NULL, 
	trust VARCHAR(16) NOT NULL, 
	created_at VARCHAR(27) NOT NULL, 
	disabled_at VARCHAR(27), 
	CONSTRAINT pk_source_keys PRIMARY KEY (id)
)
-- next
CREATE TABLE spans (
	tenant VARCHAR(200) NOT NULL, 
	environment VARCHAR(200) NOT NULL, 
	trace VARCHAR(64) NOT NULL, 
	span VARCHAR(64) NOT NULL, 
	parent VARCHAR(64), 
	entity VARCHAR(200) NOT NULL, 
	operation VARCHAR(300) NOT NULL, 
	start_ns BIGINT NOT NULL, 
	end_ns BIGINT NOT NULL, 
	error BOOLEAN NOT NULL, 
	CONSTRAINT uq_spans_tenant_environment_trace_span UNIQUE (tenant, environment, trace, span)
)
-- next
CREATE INDEX ix_spans_window ON spans (tenant, environment, start_ns)
-- next
CREATE TABLE subscriptions (
	id VARCHAR(200) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	body JSON NOT NULL, 
	cursor BIGINT NOT NULL, 
	CONSTRAINT pk_subscriptions PRIMARY KEY (id)
)
-- next
CREATE INDEX ix_subscriptions_tenant ON subscriptions (tenant)
-- next
CREATE TABLE symptoms (
	tenant VARCHAR(200) NOT NULL, 
	environment VARCHAR(200) NOT NULL, 
	entity VARCHAR(300) NOT NULL, 
	signal VARCHAR(200) NOT NULL, 
	body JSON NOT NULL, 
	last_at VARCHAR(27) NOT NULL, 
	incident VARCHAR(26), 
	CONSTRAINT pk_symptoms PRIMARY KEY (tenant, environment, entity, signal)
)
-- next
CREATE TABLE telemetry_series (
	tenant VARCHAR(200) NOT NULL, 
	environment VARCHAR(200) NOT NULL, 
	series VARCHAR(71) NOT NULL, 
	first_seen VARCHAR(27) NOT NULL, 
	CONSTRAINT pk_telemetry_series PRIMARY KEY (tenant, environment, series)
)
-- next
CREATE TABLE telemetry_usage (
	tenant VARCHAR(200) NOT NULL, 
	environment VARCHAR(200) NOT NULL, 
	signal VARCHAR(16) NOT NULL, 
	day VARCHAR(10) NOT NULL, 
	rows BIGINT NOT NULL, 
	bytes BIGINT NOT NULL, 
	CONSTRAINT pk_telemetry_usage PRIMARY KEY (tenant, environment, signal, day)
)
-- next
CREATE TABLE watches (
	command VARCHAR(26) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	environment VARCHAR(200) NOT NULL, 
	incident VARCHAR(26), 
	started_at VARCHAR(27) NOT NULL, 
	hold_until VARCHAR(27) NOT NULL, 
	entities JSON NOT NULL, 
	"before" JSON NOT NULL, 
	verification JSON, 
	done BOOLEAN NOT NULL, 
	CONSTRAINT pk_watches PRIMARY KEY (command)
)
-- next
CREATE TABLE approvals (
	command VARCHAR(26) NOT NULL, 
	principal VARCHAR(200) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	digest VARCHAR(71) NOT NULL, 
	verdict VARCHAR(8) NOT NULL, 
	channel VARCHAR(8) NOT NULL, 
	note TEXT NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	CONSTRAINT pk_approvals PRIMARY KEY (command, principal), 
	CONSTRAINT fk_approvals_command_commands FOREIGN KEY(command) REFERENCES commands (id)
)
-- next
CREATE TABLE budget_uses (
	command VARCHAR(26) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	resource VARCHAR(32) NOT NULL, 
	amount FLOAT NOT NULL, 
	status VARCHAR(8) NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	CONSTRAINT pk_budget_uses PRIMARY KEY (command, tenant, resource), 
	CONSTRAINT fk_budget_uses_command_commands FOREIGN KEY(command) REFERENCES commands (id)
)
-- next
CREATE INDEX ix_budget_uses_tenant_resource ON budget_uses (tenant, resource, at)
-- next
CREATE TABLE decisions (
	command VARCHAR(26) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	digest VARCHAR(71) NOT NULL, 
	effect VARCHAR(8) NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	body JSON NOT NULL, 
	CONSTRAINT pk_decisions PRIMARY KEY (command), 
	CONSTRAINT fk_decisions_command_commands FOREIGN KEY(command) REFERENCES commands (id)
)
-- next
CREATE TABLE effect_grants (
	command VARCHAR(26) NOT NULL, 
	fencing BIGINT NOT NULL, 
	jti VARCHAR(26) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	issued_at VARCHAR(27) NOT NULL, 
	expires_at VARCHAR(27) NOT NULL, 
	CONSTRAINT pk_effect_grants PRIMARY KEY (command, fencing), 
	CONSTRAINT fk_effect_grants_command_commands FOREIGN KEY(command) REFERENCES commands (id), 
	CONSTRAINT uq_effect_grants_jti UNIQUE (jti)
)
-- next
CREATE TABLE plan_commands (
	command VARCHAR(26) NOT NULL, 
	"plan" VARCHAR(26) NOT NULL, 
	position INTEGER NOT NULL, 
	CONSTRAINT pk_plan_commands PRIMARY KEY (command), 
	CONSTRAINT uq_plan_commands_plan_position UNIQUE ("plan", position), 
	CONSTRAINT fk_plan_commands_command_commands FOREIGN KEY(command) REFERENCES commands (id), 
	CONSTRAINT fk_plan_commands_plan_change_plans FOREIGN KEY("plan") REFERENCES change_plans (id)
)
-- next
CREATE TABLE reservations (
	"key" VARCHAR(500) NOT NULL, 
	command VARCHAR(26) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	at VARCHAR(27) NOT NULL, 
	CONSTRAINT pk_reservations PRIMARY KEY ("key"), 
	CONSTRAINT fk_reservations_command_commands FOREIGN KEY(command) REFERENCES commands (id)
)
-- next
CREATE INDEX ix_reservations_command ON reservations (command)
-- next
CREATE TABLE role_grants (
	principal VARCHAR(200) NOT NULL, 
	role VARCHAR(16) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	environment VARCHAR(200) NOT NULL, 
	CONSTRAINT pk_role_grants PRIMARY KEY (principal, role, tenant, environment), 
	CONSTRAINT fk_role_grants_principal_principals FOREIGN KEY(principal) REFERENCES principals (id)
)
-- next
CREATE TABLE source_tenants (
	"key" VARCHAR(200) NOT NULL, 
	tenant VARCHAR(200) NOT NULL, 
	position INTEGER NOT NULL, 
	CONSTRAINT pk_source_tenants PRIMARY KEY ("key", tenant), 
	CONSTRAINT fk_source_tenants_key_source_keys FOREIGN KEY("key") REFERENCES source_keys (id)
)
-- next
CREATE TABLE tokens (
	lookup VARCHAR(16) NOT NULL, 
	secret_hash BLOB NOT NULL, 
	principal VARCHAR(200), 
	source_key VARCHAR(200), 
	issued_at VARCHAR(27) NOT NULL, 
	expires_at VARCHAR(27), 
	revoked_at VARCHAR(27), 
	CONSTRAINT pk_tokens PRIMARY KEY (lookup), 
	CONSTRAINT fk_tokens_principal_principals FOREIGN KEY(principal) REFERENCES principals (id), 
	CONSTRAINT fk_tokens_source_key_source_keys FOREIGN KEY(source_key) REFERENCES source_keys (id)
)
-- next
CREATE INDEX ix_tokens_principal ON tokens (principal)
-- next
CREATE INDEX ix_tokens_source_key ON tokens (source_key)
-- next
CREATE VIRTUAL TABLE IF NOT EXISTS events_text USING fts5(type, subject, data, content='events', content_rowid='seq', tokenize='unicode61')
-- next
CREATE TRIGGER IF NOT EXISTS events_text_insert AFTER INSERT ON events BEGIN INSERT INTO events_text(rowid, type, subject, data) VALUES (new.seq, new.type, new.subject, new.data); END
-- next
CREATE TRIGGER IF NOT EXISTS events_text_delete AFTER DELETE ON events BEGIN INSERT INTO events_text(events_text, rowid, type, subject, data) VALUES ('delete', old.seq, old.type, old.subject, old.data); END
