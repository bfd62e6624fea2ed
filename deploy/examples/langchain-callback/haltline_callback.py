"""A LangChain callback that tells Haltline each step, and stops a tool that the gate does not allow.

    chain.invoke(..., config={"callbacks": [HaltlineCallback("s-123", Haltline())]})

LangChain only logs what a callback raises, and goes on: `raise_error` makes the exception count, and `run_inline` makes
async code wait for the callback. Without both of them this could watch, but not stop.
"""

from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from haltline_client import Haltline


class Refused(Exception):
    """The tool is not run."""


class HaltlineCallback(BaseCallbackHandler):
    raise_error = True
    run_inline = True

    def __init__(self, session: str, haltline: Haltline):
        self._session, self._haltline = session, haltline
        self._calls: dict[UUID, dict[str, Any]] = {}
        self._seen: set[str] = set()

    def on_chat_model_start(self, serialized: dict[str, Any], messages: list[list[BaseMessage]], **_: Any) -> None:
        """The conversation is sent again with each call of the model: only what is new in it is an event."""
        for message in (message for batch in messages for message in batch):
            key = f"{message.id or ''} {message.text}"
            if message.type == "human" and key not in self._seen:
                self._seen.add(key)
                self._record(kind="message", role="user", text=message.text)

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        for text in (generation.text for batch in response.generations for generation in batch):
            if text:
                self._record(kind="message", role="assistant", text=text)

    def on_tool_start(
        self, serialized: dict[str, Any], input_str: str, *, run_id: UUID, inputs: Any = None, **more: Any
    ) -> None:
        args = inputs if inputs is not None else {"input": input_str}
        call = {"name": serialized["name"], "call_id": more.get("tool_call_id") or str(run_id)}
        answer = self._haltline.gate(self._session, call["name"], args, call_id=call["call_id"])
        labels = {"decision": answer.decision}
        self._record(kind="tool_call", role="assistant", tool={**call, "args": args}, labels=labels)
        if answer.decision != "allow" or answer.dry_run:
            raise Refused(f"not carried out: {answer.reason}")
        self._calls[run_id] = call

    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        text = str(getattr(output, "content", output))
        self._record(kind="tool_result", tool={**self._calls.pop(run_id, {}), "result": text})

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        result = {"result": str(error), "error": True}
        self._record(kind="tool_result", tool={**self._calls.pop(run_id, {}), **result})

    def _record(self, **event: Any) -> None:
        self._haltline.events({"session": self._session, **event})
