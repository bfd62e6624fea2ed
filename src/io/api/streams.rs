//! `GET /v1/halts/stream` and `/v1/findings/stream`: server-sent events, resumable by `Last-Event-ID`.
//!
//! Ids are `START-NUMBER`: another process, or the same one after a restart, has another start, so that an id of
//! before is known to be of no use here. Whoever has missed something is told so and looks at the list.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;

use super::Api;
use super::access::Caller;
use super::error::ApiError;
use super::guard::Room;
use super::request::Params;
use crate::finding::Finding;
use crate::halt::{HaltRecord, HaltState};
use crate::io::feed::Feed;

const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamParams {
    tenant: Option<String>,
    session: Option<String>,
    /// The same as the header, for clients that cannot set one.
    last_event_id: Option<String>,
}

/// What a stream tells.
trait Told: Serialize + Send + Sync + 'static {
    /// Whose it is.
    fn names(&self) -> (&str, &str);
    /// The name of its event.
    fn event(&self) -> &'static str;
}

impl Told for HaltRecord {
    fn names(&self) -> (&str, &str) {
        (&self.tenant, &self.session)
    }

    fn event(&self) -> &'static str {
        match self.state {
            HaltState::Halted => "halt",
            HaltState::Running => "resume",
        }
    }
}

impl Told for Finding {
    fn names(&self) -> (&str, &str) {
        (&self.tenant, &self.session)
    }

    fn event(&self) -> &'static str {
        "finding"
    }
}

pub(super) async fn halts(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(room): Extension<Room>,
    Params(params): Params<StreamParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if !api.halts.is_complete() {
        return Err(ApiError::not_ready());
    }
    let wanted = Wanted::of(&caller, params, &headers)?;
    Ok(open(api, room, wanted, |api| &api.halts.feed))
}

pub(super) async fn findings(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(room): Extension<Room>,
    Params(params): Params<StreamParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let wanted = Wanted::of(&caller, params, &headers)?;
    Ok(open(api, room, wanted, |api| &api.recent.feed))
}

/// What a reader wants.
struct Wanted {
    tenant: Option<Arc<str>>,
    session: Option<String>,
    last_event_id: Option<String>,
}

impl Wanted {
    fn of(caller: &Caller, params: StreamParams, headers: &HeaderMap) -> Result<Self, ApiError> {
        let header = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        Ok(Self {
            tenant: caller.filter(params.tenant.as_deref())?,
            session: params.session.filter(|session| !session.is_empty()),
            last_event_id: header.or(params.last_event_id).filter(|id| !id.is_empty()),
        })
    }

    fn wants(&self, told: &impl Told) -> bool {
        let (tenant, session) = told.names();
        self.tenant.as_deref().is_none_or(|wanted| wanted == tenant)
            && self.session.as_deref().is_none_or(|wanted| wanted == session)
    }
}

/// One reader.
struct Reader<T: 'static> {
    api: Arc<Api>,
    feed: fn(&Api) -> &Feed<T>,
    pushed: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    wanted: Wanted,
    /// Number of the next entry.
    next: u64,
    /// What is to be sent before anything else is taken.
    ready: VecDeque<Event>,
    is_over: bool,
    _room: Room,
}

fn open<T: Told>(api: Arc<Api>, room: Room, wanted: Wanted, feed: fn(&Api) -> &Feed<T>) -> Response {
    let pushed = feed(&api).watch();
    let stopping = api.stopping.clone();
    let mut reader =
        Reader { api, feed, pushed, stopping, wanted, next: 0, ready: VecDeque::new(), is_over: false, _room: room };
    reader.begin();
    Sse::new(events(reader)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

fn events<T: Told>(reader: Reader<T>) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(reader, |mut reader| async move { reader.event().await.map(|event| (Ok(event), reader)) })
}

impl<T: Told> Reader<T> {
    /// Finds out where to go on.
    fn begin(&mut self) {
        let now = (self.feed)(&self.api).next();
        let hello = json!({"rev": self.api.halts.revision(), "next": self.id(now)});
        self.ready.push_back(Event::default().event("hello").data(hello.to_string()));
        self.next = now;
        let Some(last) = self.wanted.last_event_id.take() else { return };
        let known = last.split_once('-').filter(|(start, _)| *start == self.api.started);
        match known.and_then(|(_, number)| number.parse::<u64>().ok()).filter(|number| *number < now) {
            Some(number) => self.next = number + 1,
            None => self.miss(),
        }
    }

    /// What was missed cannot be had here any more: says so, and goes on with what is kept.
    fn miss(&mut self) {
        self.ready.push_back(Event::default().event("gap").data(r#"{"missed":true}"#));
        self.next = 0;
    }

    fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.api.started)
    }

    /// The next event, as soon as there is one; none at the end.
    async fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.is_over || *self.stopping.borrow() {
                return None;
            }
            self.pushed.borrow_and_update();
            self.take();
            if self.ready.is_empty() && self.next >= (self.feed)(&self.api).next() {
                tokio::select! {
                    pushed = self.pushed.changed() => pushed.ok()?,
                    stopping = self.stopping.changed() => stopping.ok()?,
                }
            }
        }
    }

    /// Takes what has come; a reader that what it wants next was pushed away from was too slow.
    fn take(&mut self) {
        let from = self.next;
        let taken = (self.feed)(&self.api).take(from);
        // From the very beginning it takes what is kept.
        if taken.missed && from > 0 {
            let told = json!({"reason": "expected a reader that keeps up", "last_event_id": self.id(from - 1)});
            self.ready.push_back(Event::default().event("dropped").data(told.to_string()));
            self.is_over = true;
            return;
        }
        for (number, entry) in taken.entries {
            self.next = number + 1;
            if self.wanted.wants(&*entry) {
                let data = serde_json::to_string(&*entry).unwrap_or_default();
                self.ready.push_back(Event::default().id(self.id(number)).event(entry.event()).data(data));
            }
        }
    }
}
