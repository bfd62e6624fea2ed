//! Haltline watches every turn of every AI agent as a stream and halts the session that is turned
//! against its owner.
//!
//! # From above
//!
//! ```text
//! sources ──▶ parse ──▶ shard (one per partition): Engine::step(at, input, effects) ──▶ ledger ──▶ offsets
//! Kafka, HTTP,          pure, deterministic, no clock, no IO                           durable   committed
//! file, stdin                                                                             │
//!                                                               halts view, webhooks, API, metrics
//! ```
//!
//! A harness writes one JSON event per step of its agent, keyed by session. A worker thread owns the
//! shards of some partitions: it parses each record, steps the engine, and hands the effects (findings,
//! halts) to the ledger. Only when they are durable is anybody told and is the offset given back.
//!
//! # The floors
//!
//! Imports go only downwards. `tests/tidy.rs` holds that, and what each floor may not name.
//!
//! | floor | modules | what is there | what is not |
//! |---|---|---|---|
//! | 0 | [`limits`] [`time`] [`ids`] [`event`] [`finding`] [`halt`] | the vocabulary, every bound | clocks |
//! | 1 | [`text`] | one form for the many ways to write the same words, with offsets back | rules |
//! | 1 | [`corpus`] | labelled texts, made from templates; attacks hidden in every way | rules |
//! | 2 | [`rules`] | files → checked rules, with errors at file:line:column | content |
//! | 3 | [`scan`] [`classify`] | texts → hits, all rules in one pass; texts → a score | time, sessions |
//! | 4 | [`window`] [`detect`] | arithmetic over time, detectors with a memory | events, text, rules |
//! | 5 | [`engine`] | the pure state machine: what follows from an event | IO, clocks, randomness |
//! | 6 | [`io`] | Kafka, the embedded ledger, HTTP, webhooks, metrics, files | decisions |
//! | 7 | [`config`] [`shard`] [`worker`] [`app`] [`cli`] | settings, the loop, the wiring, the commands | |
//!
//! A new detector with a memory goes into [`detect`] and is driven by `engine/checks.rs`; a new way to
//! read text goes into [`text`]; a new place that events come from goes into [`io`] and
//! `app/sources.rs`; a new rule is a file under `rules/` and needs no code.
//!
//! # What always holds
//!
//! - The same inputs give the same effects, byte for byte. Ids are digests of their causes.
//! - A halt is durable before anybody is told, and its event is durable before the view shows it.
//! - Offsets are committed only behind durable effects; after a crash the rest is read again.
//! - A released session is not halted again by what was before its release.
//! - Nothing that a stranger controls grows without a bound in [`limits`].
//! - What does not parse is scanned as bytes, counted against its session, and kept as a dead letter.

#![deny(missing_docs, unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::todo, clippy::unimplemented)
)]

pub mod limits;
pub mod time;

pub mod ids;

pub mod event;
pub mod finding;
pub mod halt;

pub mod text;

pub mod corpus;

pub mod rules;

pub mod scan;

pub mod classify;

pub mod window;

pub mod detect;

pub mod engine;

pub mod io;

pub mod config;
pub mod shard;
pub mod worker;

pub mod app;
pub mod cli;
