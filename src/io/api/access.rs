//! Who may ask: bearer tokens, their scopes, the tenant that they are bound to.
//!
//! Settings hold digests only, so that whoever reads them cannot ask. Digests are compared in constant time, all of
//! them for every request. Where no token is set up everybody may do everything, which is why the API then listens on
//! loopback only.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::error::ApiError;
use crate::event::TENANT_DEFAULT;
use crate::time::Millis;

/// What a token begins with, so that it is known for one wherever it turns up.
pub const TOKEN_PREFIX: &str = "hl_";
/// What its digest begins with in the settings.
pub const HASH_PREFIX: &str = "sha256:";
/// Most tokens; every request is compared with all of them.
const TOKENS_MAX: usize = 1_024;
/// Requests a second of one token where its settings say nothing.
const PER_SECOND: u32 = 10_000;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Posting events.
    Ingest,
    /// Asking whether an action may go ahead.
    Gate,
    /// Looking.
    Read,
    /// Halting, resuming, answering confirmations.
    Halt,
    /// All of these, and what changes Haltline itself.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Ingest, Self::Gate, Self::Read, Self::Halt, Self::Admin];

    /// Its name in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Gate => "gate",
            Self::Read => "read",
            Self::Halt => "halt",
            Self::Admin => "admin",
        }
    }
}

/// `[[http.tokens]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSettings {
    /// Who it is given to, for the audit log.
    pub name: String,
    /// `sha256:` and the digest of the token in hex, as `haltline token` prints it.
    pub hash: String,
    /// What it is good for.
    pub scopes: Vec<Scope>,
    /// The only tenant that it may ask about.
    pub tenant: Option<String>,
    /// When it ends.
    pub expires: Option<Millis>,
    /// Requests a second; 10,000 if not given.
    pub per_second: Option<NonZeroU32>,
}

/// All tokens.
pub(super) struct Tokens(Vec<Token>);

struct Token {
    digest: [u8; 32],
    caller: Caller,
    expires: Option<Millis>,
    limiter: DefaultDirectRateLimiter,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Name of the token; none where none is needed.
    pub(super) name: Option<Arc<str>>,
    scopes: Arc<[Scope]>,
    /// The only tenant that it may ask about.
    pub(super) tenant: Option<Arc<str>>,
}

/// Why a token is no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// There is none, or nobody's.
    Unknown,
    /// It has ended.
    Expired,
    /// It asks too often.
    TooOften,
}

impl Tokens {
    /// Checks what the settings say.
    pub(super) fn new(settings: &[TokenSettings]) -> Result<Self, String> {
        if settings.len() > TOKENS_MAX {
            return Err(format!("http.tokens: expected at most {TOKENS_MAX}, got {}", settings.len()));
        }
        let mut tokens: Vec<Token> = Vec::new();
        for one in settings {
            let token = Token::new(one).map_err(|problem| format!("http.tokens `{}`: {problem}", one.name))?;
            if tokens.iter().any(|known| known.caller.name == token.caller.name || known.digest == token.digest) {
                return Err(format!("http.tokens `{}`: expected a name and a token of its own", one.name));
            }
            tokens.push(token);
        }
        Ok(Self(tokens))
    }

    /// Whether everybody may do everything.
    pub(super) fn is_open(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose token it is.
    pub(super) fn caller(&self, presented: Option<&str>, now: Millis) -> Result<Caller, Refused> {
        if self.is_open() {
            return Ok(Caller { name: None, scopes: Arc::new(Scope::ALL), tenant: None });
        }
        let digest: [u8; 32] = Sha256::digest(presented.ok_or(Refused::Unknown)?.as_bytes()).into();
        let mut found = None;
        for token in &self.0 {
            if bool::from(token.digest.ct_eq(&digest)) {
                found = Some(token);
            }
        }
        let token = found.ok_or(Refused::Unknown)?;
        if token.expires.is_some_and(|expires| expires <= now) {
            return Err(Refused::Expired);
        }
        token.limiter.check().map_err(|_| Refused::TooOften)?;
        Ok(token.caller.clone())
    }
}

impl Token {
    fn new(settings: &TokenSettings) -> Result<Self, String> {
        if settings.name.trim().is_empty() || settings.name.chars().count() > 64 {
            return Err("name: expected 1 to 64 characters".to_owned());
        }
        if settings.scopes.is_empty() {
            return Err("scopes: expected some of `ingest`, `gate`, `read`, `halt`, `admin`, got none".to_owned());
        }
        let per_second = settings.per_second.or(NonZeroU32::new(PER_SECOND)).unwrap_or(NonZeroU32::MIN);
        Ok(Self {
            digest: digest_of(&settings.hash)?,
            caller: Caller {
                name: Some(Arc::from(settings.name.as_str())),
                scopes: settings.scopes.as_slice().into(),
                tenant: settings.tenant.as_deref().filter(|tenant| !tenant.is_empty()).map(Arc::from),
            },
            expires: settings.expires,
            limiter: RateLimiter::direct(Quota::per_second(per_second)),
        })
    }
}

impl Caller {
    /// Whether it may do what needs one of these scopes.
    pub(super) fn may(&self, scopes: &[Scope]) -> bool {
        self.scopes.iter().any(|own| *own == Scope::Admin || scopes.contains(own))
    }

    /// Its scopes.
    pub(super) fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// The tenant that a request is about: the one that it names, else the token's, else the default one.
    pub(super) fn tenant(&self, asked: Option<&str>) -> Result<Arc<str>, ApiError> {
        let filter = self.filter(asked)?;
        Ok(filter.unwrap_or_else(|| Arc::from(TENANT_DEFAULT)))
    }

    /// The tenant whose entries a list shows; all tenants' where neither the request nor the token names one.
    pub(super) fn filter(&self, asked: Option<&str>) -> Result<Option<Arc<str>>, ApiError> {
        let asked = asked.filter(|asked| !asked.is_empty());
        match (&self.tenant, asked) {
            (Some(own), Some(asked)) if **own != *asked => Err(ApiError::wrong_tenant(own)),
            (Some(own), _) => Ok(Some(own.clone())),
            (None, asked) => Ok(asked.map(Arc::from)),
        }
    }

    /// Whether it may see what is of this tenant.
    pub(super) fn sees(&self, tenant: &str) -> bool {
        self.tenant.as_deref().is_none_or(|own| own == tenant)
    }
}

/// A new token: 32 random bytes.
///
/// # Errors
/// When the system gives no random numbers.
pub fn new_token() -> Result<String, String> {
    use base64::Engine as _;
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random numbers: {error}"))?;
    Ok(format!("{TOKEN_PREFIX}{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)))
}

/// What stands in the settings for a token.
#[must_use]
pub fn token_hash(token: &str) -> String {
    use fmt::Write as _;
    let mut hash = HASH_PREFIX.to_owned();
    Sha256::digest(token.as_bytes()).iter().for_each(|byte| {
        let _ = write!(hash, "{byte:02x}");
    });
    hash
}

fn digest_of(hash: &str) -> Result<[u8; 32], String> {
    let expected = || format!("hash: expected `{HASH_PREFIX}` and 64 hex digits, as `haltline token` prints them");
    let hex = hash.strip_prefix(HASH_PREFIX).filter(|hex| hex.len() == 64).ok_or_else(expected)?;
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| expected())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| expected())?;
    }
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Tokens, String> {
        #[derive(Deserialize)]
        struct Both {
            tokens: Vec<TokenSettings>,
        }
        let both: Both = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        Tokens::new(&both.tokens)
    }

    fn one(token: &str, more: &str) -> String {
        format!("[[tokens]]\nname = \"{token}\"\nhash = \"{}\"\n{more}\n", token_hash(token))
    }

    #[test]
    fn a_token_is_known_by_its_digest_and_only_by_it() {
        let token = new_token().expect("random");
        assert!(token.starts_with(TOKEN_PREFIX) && token.len() == 46, "{token}");
        assert_ne!(token, new_token().expect("random"));
        let text = [one(&token, "scopes = ['gate']"), one("hl_other", "scopes = ['admin']\ntenant = 'acme'")].concat();
        let tokens = settings(&text).expect("good");
        let now = Millis(0);
        let caller = tokens.caller(Some(&token), now).expect("known");
        assert!(caller.may(&[Scope::Gate]) && !caller.may(&[Scope::Read, Scope::Halt]) && caller.tenant.is_none());
        let other = tokens.caller(Some("hl_other"), now).expect("known");
        assert!(other.may(&[Scope::Ingest]) && other.sees("acme") && !other.sees("default"));
        for wrong in
            [None, Some(""), Some("hl_"), Some(&token[..45]), Some(&*format!("{token} ")), Some(&token_hash(&token))]
        {
            assert_eq!(tokens.caller(wrong, now).err(), Some(Refused::Unknown), "{wrong:?}");
        }
        assert!(settings("tokens = []").expect("none").caller(None, now).expect("open").may(&[Scope::Admin]));
    }

    #[test]
    fn a_token_ends_and_may_ask_only_so_often() {
        let text = one("a", "scopes = ['read']\nexpires = '1970-01-01T00:00:01Z'\nper_second = 2");
        let tokens = settings(&text).expect("good");
        assert_eq!(tokens.caller(Some("a"), Millis(1_000)).err(), Some(Refused::Expired));
        let asked: Vec<bool> = (0..50).map(|_| tokens.caller(Some("a"), Millis(999)).is_ok()).collect();
        assert!(asked[0] && asked[1] && asked.contains(&false), "{asked:?}");
    }

    #[test]
    fn a_tenant_is_the_tokens_own_whatever_is_asked_for() {
        let caller = |tenant: Option<&str>| Caller { name: None, scopes: [].into(), tenant: tenant.map(Arc::from) };
        let rows = [
            (None, None, Some("default"), Some(None)),
            (None, Some("acme"), Some("acme"), Some(Some("acme"))),
            (None, Some(""), Some("default"), Some(None)),
            (Some("acme"), None, Some("acme"), Some(Some("acme"))),
            (Some("acme"), Some("acme"), Some("acme"), Some(Some("acme"))),
            (Some("acme"), Some(""), Some("acme"), Some(Some("acme"))),
            (Some("acme"), Some("Acme"), None, None),
            (Some("acme"), Some("default"), None, None),
        ];
        for (own, asked, tenant, filter) in rows {
            assert_eq!(caller(own).tenant(asked).ok().as_deref(), tenant, "{own:?} {asked:?}");
            let filtered = caller(own).filter(asked).ok();
            assert_eq!(filtered.as_ref().map(Option::as_deref), filter, "{own:?} {asked:?}");
        }
    }

    #[test]
    fn settings_that_are_no_good_say_why() {
        let hash = token_hash("x");
        let rows = [
            ("scopes = ['read']".to_owned(), "missing field `hash`"),
            ("hash = 'secret'\nscopes = ['read']".to_owned(), "expected `sha256:` and 64 hex digits"),
            (format!("hash = '{}'\nscopes = ['read']", &hash[..70]), "expected `sha256:` and 64 hex digits"),
            (format!("hash = '{hash}'\nscopes = []"), "scopes: expected some of"),
            (format!("hash = '{hash}'\nscopes = ['write']"), "unknown variant `write`"),
            (format!("hash = '{hash}'\nscopes = ['read']\nper_second = 0"), "nonzero"),
            (format!("hash = '{hash}'\nscopes = ['read']\ntenants = 'x'"), "unknown field `tenants`"),
        ];
        for (more, expected) in rows {
            let error = settings(&format!("[[tokens]]\nname = 'a'\n{more}")).err().expect(&more);
            assert!(error.contains(expected), "{error}");
        }
        let twice = [one("a", "scopes = ['read']"), one("a", "scopes = ['read']")].concat();
        assert!(settings(&twice).err().expect("twice").contains("of its own"));
    }
}
