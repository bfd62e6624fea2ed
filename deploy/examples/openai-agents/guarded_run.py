"""Haltline for the OpenAI Agents SDK: a guardrail that asks before a tool runs, and a run that ends when it is halted.

    @function_tool(tool_input_guardrails=[ask_haltline])
    def issue_refund(order: str) -> str: ...

    result = await run_guarded(agent, "refund order A1", Session("s-123", Haltline()))

Function tools and the tools of `MCPServer…(tool_input_guardrails=[ask_haltline])` are asked about; hosted tools (web
search, code interpreter) run at the provider, where no guardrail reaches.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from agents import (
    Agent,
    ItemHelpers,
    MessageOutputItem,
    RunConfig,
    Runner,
    RunResultStreaming,
    ToolCallItem,
    ToolCallOutputItem,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrailData,
    ToolInputGuardrailTripwireTriggered,
    tool_input_guardrail,
)

from haltline_client import Haltline

PERSON_SECONDS = 120  # how long a call waits for somebody's answer
WATCH_SECONDS = 1.0  # how often a run asks whether it may go on


class Halted(Exception):
    """The session is halted: nothing more is to be done for it."""


@dataclass
class Session:
    """The run's context."""

    id: str
    haltline: Haltline
    person_seconds: float = PERSON_SECONDS
    tool_names: dict[str | None, str | None] = field(default_factory=dict)  # by call id: outputs do not name their tool

    async def record(self, **event: Any) -> None:
        await asyncio.to_thread(self.haltline.events, {"session": self.id, **event})


@tool_input_guardrail
async def ask_haltline(data: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
    """allow, reject_content (the model is told why), or raise_exception (the session is halted)."""
    call, session = data.context, data.context.context
    if not isinstance(session, Session):
        raise TypeError("expected a Session as the run's context: Runner.run(..., context=Session(...))")
    answer = await asyncio.to_thread(
        session.haltline.gate_and_wait,
        session.id,
        call.tool_name,
        arguments_of(call.tool_arguments),
        call.tool_call_id,
        session.person_seconds,
    )
    if answer.halted:
        return ToolGuardrailFunctionOutput.raise_exception(answer.reason)
    if answer.decision == "allow" and not answer.dry_run:
        return ToolGuardrailFunctionOutput.allow()
    reason = answer.reason or "nobody has allowed it"
    return ToolGuardrailFunctionOutput.reject_content(f"not carried out: {reason}", answer.decision)


async def run_guarded(
    agent: Agent[Session], text: str, session: Session, run_config: RunConfig | None = None
) -> RunResultStreaming:
    """Runs the agent, tells Haltline each step, and raises `Halted` as soon as the session is halted."""
    await session.record(kind="message", role="user", text=text)
    result = Runner.run_streamed(agent, text, context=session, run_config=run_config)
    watch = asyncio.create_task(cancel_when_halted(result, session))
    try:
        async for event in result.stream_events():
            if event.type == "run_item_stream_event":
                await record_item(session, event.item)
    except ToolInputGuardrailTripwireTriggered as error:
        raise Halted(str(error.output.output_info)) from error
    finally:
        watch.cancel()
        if not result.is_complete:
            result.cancel()
    if watch.done() and not watch.cancelled():
        raise Halted(watch.result())
    return result


async def cancel_when_halted(result: RunResultStreaming, session: Session) -> str:
    """Cancels in the middle of a turn, also while the model is thinking. Returns why."""
    while True:
        answer = await asyncio.to_thread(session.haltline.gate, session.id)
        if answer.decision != "allow":
            result.cancel(mode="immediate")
            return answer.reason
        await asyncio.sleep(WATCH_SECONDS)


async def record_item(session: Session, item: Any) -> None:
    if isinstance(item, ToolCallItem):
        session.tool_names[item.call_id] = item.tool_name
        args = arguments_of(getattr(item.raw_item, "arguments", None))
        tool = {"name": item.tool_name, "call_id": item.call_id, "args": args}
        await session.record(kind="tool_call", role="assistant", tool=tool)
    elif isinstance(item, ToolCallOutputItem):
        name = session.tool_names.pop(item.call_id, None)
        tool = {"name": name, "call_id": item.call_id, "result": str(item.output)}
        await session.record(kind="tool_result", tool=tool)
    elif isinstance(item, MessageOutputItem):
        await session.record(kind="message", role="assistant", text=ItemHelpers.text_message_output(item))


def arguments_of(text: str | None) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return {"raw": text}
