"""The tables: columns, relationships and constraints. Importing this package loads them all."""

from app.models.alert import Alert, AlertDelivery, AlertMessage, AlertNotice
from app.models.application import Application, Connection, Credential
from app.models.audit import AuditChain, AuditEvent
from app.models.base import Base
from app.models.breaker import ConnectionBreaker
from app.models.bulk_retry import BulkRetry, BulkRetryItem, BulkStatus, ItemStatus, SkipReason
from app.models.grant import ExternalAccount, Grant, TriggerDecision
from app.models.operations import Duty, EngineState, FailingDuty, Worker
from app.models.run import Attempt, AttemptStatus, Run, RunEvent, RunOverride
from app.models.signin import Authenticator, FailedSignIns, RecoveryCode, SingleSignOn
from app.models.task import ManualTask
from app.models.user import ApiToken, Group, GroupMember, IdempotencyKey, Role, SignInLink, User
from app.models.workflow import Workflow, WorkflowVersion

__all__ = [
    "Alert",
    "AlertDelivery",
    "AlertMessage",
    "AlertNotice",
    "ApiToken",
    "Application",
    "Attempt",
    "AttemptStatus",
    "AuditChain",
    "AuditEvent",
    "Authenticator",
    "Base",
    "BulkRetry",
    "BulkRetryItem",
    "BulkStatus",
    "Connection",
    "ConnectionBreaker",
    "Credential",
    "Duty",
    "EngineState",
    "ExternalAccount",
    "FailedSignIns",
    "FailingDuty",
    "Grant",
    "Group",
    "GroupMember",
    "IdempotencyKey",
    "ItemStatus",
    "ManualTask",
    "RecoveryCode",
    "Role",
    "Run",
    "RunEvent",
    "RunOverride",
    "SignInLink",
    "SingleSignOn",
    "SkipReason",
    "TriggerDecision",
    "User",
    "Worker",
    "Workflow",
    "WorkflowVersion",
]
