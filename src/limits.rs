//! Every bound of the program, in one place.
//!
//! Nothing that a stranger controls may grow without one of these. A bound that an operator may want
//! to move is a setting in `config`, and its default stands here.

use crate::time::Span;

/// Largest record that is parsed, in bytes; a larger one is a dead letter, its head still scanned.
pub const EVENT_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of arrays and objects in an event.
pub const JSON_DEPTH_MAX: usize = 64;
/// Most leaves (strings, numbers, booleans) of one event that are looked at one by one; the rest of
/// the arguments are scanned as one text.
pub const LEAVES_MAX: usize = 4_096;
/// Longest object key that is not scanned as a text of its own, in bytes.
pub const KEY_BYTES_UNSCANNED: usize = 16;
/// Longest value that is read together with its key, in bytes.
pub const KEYED_BYTES_MAX: usize = 1_024;
/// Longest session, tenant, agent or event id, in bytes.
pub const ID_BYTES_MAX: usize = 256;
/// Longest tool name, in bytes.
pub const TOOL_NAME_BYTES_MAX: usize = 256;
/// Most labels of one event that are kept.
pub const LABELS_MAX: usize = 32;
/// Most problems that are noted for one event.
pub const PROBLEMS_MAX: usize = 16;

/// Most findings that one event can give; the rest are counted only.
pub const FINDINGS_PER_EVENT_MAX: usize = 64;
/// Longest excerpt in a finding's evidence, in characters.
pub const EXCERPT_CHARS_MAX: usize = 160;
/// Most recent findings that a session's own record keeps.
pub const FINDINGS_PER_SESSION_MAX: usize = 16;
/// Last events that a session remembers, for who looks at it.
pub const TRAIL_MAX: usize = 12;
/// Bytes of earlier turns that a session keeps of what it heard, of what it read and of what it did,
/// so that an attack in pieces is seen whole.
pub const STREAM_TAIL_BYTES: usize = 256;
/// How much text around a hit the classifier is asked about, on either side, in bytes.
pub const SCORED_AROUND_BYTES: usize = 400;
/// Ids of recent events that a session remembers, to know a producer's retry.
pub const RECENT_IDS: usize = 8;

/// Sessions that one shard keeps; beyond it the least recently opened is forgotten (never a halt).
pub const SESSIONS_PER_SHARD_MAX: usize = 1_000_000;
/// Keys that one windowed rule keeps in one shard.
pub const WINDOW_KEYS_MAX: usize = 1_000_000;
/// A session without events for this long, in event time, is forgotten (its halt is not).
pub const SESSION_IDLE: Span = Span::seconds(3_600);
/// Entries of one sliding window before neighbours are merged.
pub const WINDOW_ENTRIES_MAX: usize = 64;
/// Longest window of a rule.
pub const WINDOW_SPAN_MAX: Span = Span::seconds(86_400);

/// Most steps of a sequence.
pub const SEQUENCE_STEPS_MAX: usize = 16;
/// Most keys that one event counts under for one rule: recipients or hosts that it names.
pub const KEYS_PER_EVENT_MAX: usize = 16;
/// Most hosts, and most e-mail addresses, of one event that are taken for its goal.
pub const DESTINATIONS_MAX: usize = 256;
/// Most definitions of tools of one event that are looked at.
pub const DEFINITIONS_PER_EVENT_MAX: usize = 512;
/// Distinct definitions of one tool that are remembered, the current one among them.
pub const DEFINITIONS_KNOWN: usize = 4;
/// Tools of which one shard remembers the definitions.
pub const DEFINITION_KEYS_MAX: usize = 1_000_000;
/// A tool whose definition was not seen for this long, in event time, is forgotten.
pub const DEFINITION_IDLE: Span = Span::seconds(30 * 86_400);
/// Rules whose findings a session counts for its risk score; a later one counts as new each time.
pub const SCORED_RULES_MAX: usize = 32;
/// How often the weight of a rule's findings is halved at most.
pub const POINTS_HALVED_MAX: u8 = 20;
/// Events that a session remembers by name, for findings about several steps.
pub const MARKS_PER_SESSION_MAX: usize = 32;

/// Letters and digits of one print: what is shorter is not recognised in what leaves.
pub const PRINT_CHARS: usize = 16;
/// Prints of which a source keeps one; every passage of `PRINT_CHARS + PRINT_WINDOW - 1` characters has one.
pub const PRINT_WINDOW: usize = 8;
/// Most prints of one source text.
pub const SOURCE_PRINTS_MAX: usize = 2_048;
/// Most values (numbers, addresses, keys) of one source text.
pub const SOURCE_VALUES_MAX: usize = 256;
/// Most words of one source text.
pub const SOURCE_WORDS_MAX: usize = 1_024;
/// Bytes of what left by one way that the next text is read together with.
pub const TAIL_BYTES: usize = 256;
/// Ways of one session (arguments of its tools) that are read on from call to call.
pub const TAILS_MAX: usize = 4;

/// Keys of one flow rule with sources in one shard.
pub const FLOW_KEYS_MAX: usize = 131_072;
/// Keys of one flow rule of which it is remembered what is known.
pub const FLOW_KNOWN_KEYS_MAX: usize = 262_144;
/// Most sources of one key; at most 128.
pub const FLOW_SOURCES_MAX: usize = 128;
/// Most prints of all sources of one key, and fewest that there is room for however many keys there are.
pub const FLOW_PRINTS_MAX: usize = 4_096;
/// Room for prints of one key where there are very many keys.
pub const FLOW_PRINTS_MIN: usize = 64;
/// Most values of all sources of one key.
pub const FLOW_VALUES_MAX: usize = 1_024;
/// Room for values of one key where there are very many keys.
pub const FLOW_VALUES_MIN: usize = 16;
/// Most words of all sources of one key.
pub const FLOW_WORDS_MAX: usize = 4_096;
/// Most prints of one key that are known to be no secret, and twice as many as values or words.
pub const FLOW_KNOWN_MAX: usize = 512;
/// Prints of one flow rule in one shard that are shared out among its keys.
pub const FLOW_ENTRIES_MAX: usize = 8 << 20;
/// Keys, and groups of them, whose baseline one spike rule keeps in one shard.
pub const BASELINE_KEYS_MAX: usize = 200_000;

/// How far back a replay reaches at most.
pub const REPLAY_SPAN_MAX: Span = Span::seconds(3_600);

/// How far behind its record's append time an event's own timestamp may lie.
pub const LATENESS: Span = Span::seconds(300);
/// How far ahead of its record's append time an event's own timestamp may lie.
pub const CLOCK_AHEAD: Span = Span::seconds(5);

/// Largest rule file, in bytes.
pub const RULE_FILE_BYTES_MAX: usize = 1 << 20;
/// Memory that one compiled regex may take, in bytes.
pub const REGEX_BYTES_MAX: usize = 4 << 20;

/// Records handed to a worker at once.
pub const BATCH_RECORDS: usize = 256;
/// Batches that wait for one worker.
pub const BATCHES_QUEUED: usize = 16;
/// Batches whose effects one worker may have on the way to the ledger.
pub const BATCHES_IN_FLIGHT: usize = 64;
/// Bytes of a dead letter that are kept; a digest stands for the rest.
pub const DEAD_LETTER_BYTES_MAX: usize = 256 << 10;
/// How far behind what is kept of a dead letter a secret in it may end and is still masked, in bytes.
pub const SECRET_BYTES_MAX: usize = 16 << 10;
/// Recent findings that the API can list.
pub const FINDINGS_LISTED_MAX: usize = 1_000;

/// Largest request body of the control API, in bytes.
pub const HTTP_BODY_BYTES_MAX: usize = 4 << 20;
/// Requests that the control API answers at once.
pub const HTTP_CONCURRENCY_MAX: usize = 512;
/// Longest time that one request may take.
pub const HTTP_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(15);
/// Server-sent event streams at once.
pub const HTTP_STREAMS_MAX: usize = 2_048;
/// Longest time that a request may wait for a confirmation's answer.
pub const CONFIRM_WAIT_MAX: std::time::Duration = std::time::Duration::from_secs(30);
/// Confirmations that are remembered; beyond it the oldest answered or expired one goes, and when all are
/// pending no new one is made.
pub const CONFIRMATIONS_MAX: usize = 10_000;
/// Pending confirmations of one session.
pub const CONFIRMATIONS_PER_SESSION_MAX: usize = 32;
/// Entries of the audit log that the API can list.
pub const AUDIT_LISTED_MAX: usize = 1_000;
/// Events of one backtest by the API.
pub const BACKTEST_EVENTS_MAX: usize = 10_000;
/// Halts and releases that a stream can go back to.
pub const HALTS_KEPT_MAX: usize = 1_000;
/// How long the gate waits for the windows of a session.
pub const GATE_WINDOWS_WAIT: std::time::Duration = std::time::Duration::from_millis(50);
/// Longest reason or actor of an operator's order, in characters.
pub const REASON_CHARS_MAX: usize = 1_000;
/// Most sessions or findings in one answer.
pub const PAGE_MAX: usize = 1_000;
/// Webhook deliveries under way at once for one endpoint.
pub const WEBHOOK_IN_FLIGHT: usize = 16;
/// Webhooks of one endpoint that are held at once, under way or waiting for their next try.
pub const WEBHOOK_HELD: usize = 1_024;
/// Deliveries of one endpoint that its log shows.
pub const WEBHOOK_LOG_ROWS: usize = 256;
/// Redeliveries by hand that wait for one endpoint.
pub const WEBHOOK_QUEUED_BY_HAND: usize = 64;
/// Most patterns of one filter, networks or labels of one endpoint.
pub const WEBHOOK_LIST_MAX: usize = 64;
/// Alerts that one endpoint is told again and again while their halts are in force, the latest first.
pub const WEBHOOK_RESENT_MAX: usize = 10_000;
/// Webhook endpoints.
pub const WEBHOOKS_MAX: usize = 32;

/// Most times that a folded character may be longer than it was, in bytes.
pub const FOLD_GROWTH_MAX: usize = 4;
/// Most combining marks on one letter that are kept.
pub const MARKS_MAX: usize = 8;

/// How often something is decoded in what was decoded.
pub const DECODE_DEPTH_MAX: usize = 4;
/// Most readings of one text beside the folded one.
pub const LAYERS_MAX: usize = 32;
/// Most bytes of all readings of one text together, as a multiple of its length.
pub const DECODED_GROWTH_MAX: usize = 6;
/// What all readings of a short text may have beyond that, in bytes.
pub const DECODED_BYTES_MIN: usize = 16 << 10;
/// Most bytes of all readings of one text together.
pub const DECODED_BYTES_MAX: usize = 8 << 20;
/// How much of the text on each side of something decoded in it is read with it, in bytes.
pub const DECODED_CONTEXT_BYTES: usize = 256;
/// Longest word that is looked at for letters in disguise, in bytes.
pub const TOKEN_BYTES_MAX: usize = 256;
/// Most letters without a gap that are cut into words.
pub const SEGMENT_BYTES_MAX: usize = 1_024;
/// Longest HTML tag, in bytes.
pub const TAG_BYTES_MAX: usize = 2_048;
/// Most string variables of one text whose concatenation is followed.
pub const VARIABLES_MAX: usize = 64;
