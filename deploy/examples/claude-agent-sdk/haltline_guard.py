"""Haltline for the Claude Agent SDK: hooks that ask at each prompt, before and after each tool call, and a person's yes.

    guard = HaltlineGuard()
    options = ClaudeAgentOptions(**guard.options(), ...)

Hooks see every call, also those that a rule in the settings allows; `can_use_tool` is asked only where a permission is
needed, so it adds the waiting for a person and replaces nothing. One guard for each client: it keeps the session's id.
"""

from typing import Any
from urllib.parse import urlencode

from anyio import to_thread
from claude_agent_sdk import (
    HookContext,
    HookInput,
    HookJSONOutput,
    HookMatcher,
    PermissionResult,
    PermissionResultAllow,
    PermissionResultDeny,
    ToolPermissionContext,
)

from haltline_client import Haltline, Unavailable, log

HOOK_SECONDS = 10
PERSON_SECONDS = 120  # how long a call waits for somebody's answer


class HaltlineGuard:
    def __init__(self, haltline: Haltline | None = None, person_seconds: float = PERSON_SECONDS):
        self.haltline = haltline or Haltline()
        self.person_seconds = person_seconds
        self.session: str | None = None
        who = {"tenant": self.haltline.tenant} | ({"agent": self.haltline.agent} if self.haltline.agent else {})
        self._path = f"/v1/hooks/claude-code?{urlencode(who)}"

    def options(self) -> dict[str, Any]:
        """What to give to `ClaudeAgentOptions`."""
        # A callback that fails blocks, too; a Claude Code that cannot promise that is refused by the SDK.
        matcher = HookMatcher(hooks=[self.hook], timeout=HOOK_SECONDS, on_failure="block")
        events = ("UserPromptSubmit", "PreToolUse", "PostToolUse")
        return {"hooks": {event: [matcher] for event in events}, "can_use_tool": self.can_use_tool}

    async def hook(self, input: HookInput, tool_use_id: str | None, context: HookContext) -> HookJSONOutput:
        """Hands the hook's input to Haltline, which answers in the form that the hook expects."""
        self.session = input["session_id"]
        try:
            answer = await to_thread.run_sync(self.haltline.request, "POST", self._path, input)
        except Unavailable as error:
            log.warning("%s not checked: %s", input["hook_event_name"], error)
            return {} if self.haltline.fail_open else blocked(input["hook_event_name"], str(error))
        # The SDK's name for a word that Python keeps for itself.
        return {"continue_" if name == "continue" else name: value for name, value in answer.items()}

    async def can_use_tool(self, tool: str, args: dict[str, Any], context: ToolPermissionContext) -> PermissionResult:
        """Waits for a person where the gate says `confirm`. Everything that the gate allows is allowed."""
        if self.session is None:
            return PermissionResultDeny(message="expected a hook before this, which names the session")
        answer = await to_thread.run_sync(
            self.haltline.gate_and_wait, self.session, tool, args, context.tool_use_id, self.person_seconds
        )
        if answer.decision == "allow" and not answer.dry_run:
            return PermissionResultAllow()
        reason = answer.reason or "nobody has allowed it"
        return PermissionResultDeny(message=f"not allowed: {reason}", interrupt=answer.halted)


def blocked(event: str, reason: str) -> HookJSONOutput:
    """The refusal of one event. A result that nobody looked at ends the run: it is in the conversation already."""
    if event == "PreToolUse":
        decision = {"permissionDecision": "deny", "permissionDecisionReason": reason}
        return {"hookSpecificOutput": {"hookEventName": event, **decision}}
    if event == "UserPromptSubmit":
        return {"decision": "block", "reason": reason}
    return {"continue_": False, "stopReason": reason}
