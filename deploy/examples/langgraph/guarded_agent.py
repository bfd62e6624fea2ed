"""A LangGraph agent whose tool calls ask Haltline first.

    model ──▶ guard ──allowed──▶ tools ──▶ record ──▶ model
                │  └─refused or done──▶ model, or END when halted
                └─needs a person──▶ confirm: interrupt(), until Command(resume=…)

`guard` and `confirm` are two nodes because a node that was interrupted runs again from its start: the question to the gate
is asked once and kept by the checkpointer. Resuming only looks again; the answer is given to Haltline, by who may give it.
"""

import json
from typing import Any

from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, Send, interrupt

from haltline_client import Haltline


class GuardedState(MessagesState):
    waiting: dict[int, str]  # place of a tool call in the model's reply → id of its confirmation
    allowed: list[int]  # places of the tool calls that may run; ids come from the model and may repeat
    halted: bool


def guarded_agent(model: Runnable, tools: list[Any], haltline: Haltline, **compile_options: Any):
    """Compiles the graph. `config["configurable"]["thread_id"]` is the session; `confirm` needs a checkpointer."""

    def call_model(state: GuardedState, config: RunnableConfig) -> dict[str, Any]:
        last = state["messages"][-1]
        if last.type == "human":
            haltline.events(message_event(session_of(config), "user", last.content))
        reply = model.invoke(state["messages"], config)
        if reply.content:
            haltline.events(message_event(session_of(config), "assistant", reply.content))
        return {"messages": [reply], "waiting": {}, "allowed": [], "halted": False}

    def guard(state: GuardedState, config: RunnableConfig) -> Command:
        return decide(state, config, {})

    def confirm(state: GuardedState, config: RunnableConfig) -> Command:
        interrupt({"confirmations": list(state["waiting"].values())})  # stops here; goes on behind it when resumed
        return decide(state, config, state["waiting"])

    def decide(state: GuardedState, config: RunnableConfig, waiting: dict[int, str]) -> Command:
        session = session_of(config)
        calls = last_reply(state).tool_calls
        allowed, still_waiting, refused, halted = list(state["allowed"]), {}, [], False
        for place, call in enumerate(calls):
            if waiting and place not in waiting:
                continue  # decided before the interruption
            confirmation = waiting.get(place)
            answer = haltline.gate(session, call["name"], call["args"], call_id=call["id"], confirmation=confirmation)
            halted |= answer.halted
            if answer.decision == "confirm" and answer.confirmation:
                still_waiting[place] = answer.confirmation
            elif answer.decision == "allow" and not answer.dry_run:  # these tools have no rehearsal
                allowed.append(place)
            else:
                refused.append(refusal(call, answer.reason))
            if confirmation is None:
                haltline.events(call_event(session, call, answer.decision))
        if halted:  # every call gets its answer, or the conversation could not be read again
            refused += [refusal(calls[place], "the session is halted") for place in [*allowed, *still_waiting]]
            allowed, still_waiting = [], {}
        runs = [Send("tools", [{**calls[place], "type": "tool_call"}]) for place in allowed]
        goto = END if halted else "confirm" if still_waiting else runs or "model"
        update = {"messages": refused, "waiting": still_waiting, "allowed": allowed, "halted": halted}
        return Command(update=update, goto=goto)

    def record(state: GuardedState, config: RunnableConfig) -> None:
        since = state["messages"][state["messages"].index(last_reply(state)) + 1 :]
        results = [message for message in since if "refused" not in message.additional_kwargs]
        haltline.events(*(result_event(session_of(config), message) for message in results))

    graph = StateGraph(GuardedState)
    graph.add_node("model", call_model)
    graph.add_node("guard", guard, destinations=("tools", "confirm", "model", END))
    graph.add_node("confirm", confirm, destinations=("tools", "confirm", "model", END))
    graph.add_node("tools", ToolNode(tools))
    graph.add_node("record", record)
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", lambda state: "guard" if state["messages"][-1].tool_calls else END, ["guard", END])
    graph.add_edge("tools", "record")
    graph.add_edge("record", "model")
    return graph.compile(**compile_options)


def session_of(config: RunnableConfig) -> str:
    return config["configurable"]["thread_id"]


def last_reply(state: GuardedState) -> AIMessage:
    return next(message for message in reversed(state["messages"]) if isinstance(message, AIMessage))


def refusal(call: dict[str, Any], reason: str) -> ToolMessage:
    text = f"not carried out: {reason}"
    marked = {"refused": True}
    return ToolMessage(text, name=call["name"], tool_call_id=call["id"], status="error", additional_kwargs=marked)


def message_event(session: str, role: str, content: Any) -> dict[str, Any]:
    text = content if isinstance(content, str) else json.dumps(content)
    return {"session": session, "kind": "message", "role": role, "text": text}


def call_event(session: str, call: dict[str, Any], decision: str) -> dict[str, Any]:
    tool = {"name": call["name"], "args": call["args"], "call_id": call["id"]}
    event = {"session": session, "kind": "tool_call", "role": "assistant", "tool": tool}
    return event | {"labels": {"decision": decision}}


def result_event(session: str, message: ToolMessage) -> dict[str, Any]:
    tool = {"name": message.name, "call_id": message.tool_call_id, "result": message.content}
    return {"session": session, "kind": "tool_result", "tool": tool | {"error": message.status == "error"}}
