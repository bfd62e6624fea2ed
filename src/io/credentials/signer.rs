//! Mints and verifies run credentials. Pure but for the key files and the random ids.

use std::fmt;

use ring::signature::Ed25519KeyPair;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::jws::{self, Header, Parts, PublicKey};
use super::key;
use super::settings::{CredentialError, Settings, TTL_MIN};
use crate::limits::{ID_BYTES_MAX, TOOL_NAME_BYTES_MAX};
use crate::time::{Millis, Span};

/// Most globs of one token.
const TOOLS_MAX: usize = 64;
/// How much of a glob that is no good an error repeats.
const SHOWN_CHARS: usize = 80;

/// What a token is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Tenant of the session.
    pub tenant: String,
    /// The session.
    pub session: String,
    /// The agent.
    pub agent: Option<String>,
    /// Who is to accept the token.
    pub audience: Option<String>,
    /// Globs of the names of tools, from 1 to 64.
    pub tools: Vec<String>,
    /// How long it is good, at least a second; cut to `ttl_max`.
    pub ttl: Span,
}

/// A token. `Debug` shows all but the token itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Minted {
    /// The token.
    pub token: String,
    /// Its id, which may be logged.
    pub jti: String,
    /// The first moment at which it is no longer good: at most a second before its `ttl` is over, as times in
    /// tokens are whole seconds.
    pub expires: Millis,
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minted").field("jti", &self.jti).field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// What a token says. Times are seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who minted it.
    pub iss: String,
    /// The session.
    pub sub: String,
    /// Tenant of the session.
    pub tenant: String,
    /// The agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Who is to accept it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
    /// Globs of the names of tools that may be called.
    pub tools: Vec<String>,
    /// When it was minted.
    pub iat: i64,
    /// Not good before.
    pub nbf: i64,
    /// No longer good from then on.
    pub exp: i64,
    /// Its own id.
    pub jti: String,
}

/// Why no token was minted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// What was asked for is out of bounds; says what was expected.
    #[error("{0}")]
    Grant(String),
    /// The token cannot be made; not the caller's fault.
    #[error("cannot mint a token: {0}")]
    Failed(String),
}

/// Why a token is no good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It is not one of ours by its form.
    #[error("not a run credential: {0}")]
    Form(String),
    /// It names a key that is not published.
    #[error("expected a token of a known key, got kid `{0}`")]
    UnknownKey(String),
    /// The key that it names did not sign it.
    #[error("the signature does not match")]
    Signature,
    /// Somebody else minted it.
    #[error("expected issuer `{expected}`, got `{got}`")]
    Issuer {
        /// Ours.
        expected: String,
        /// The token's.
        got: String,
    },
    /// Its time has not come.
    #[error("not good before {0}")]
    NotYet(Millis),
    /// Its time is over.
    #[error("expired at {0}")]
    Expired(Millis),
}

/// Signs tokens with one key, and knows those of before and after.
pub struct Signer {
    pair: Ed25519KeyPair,
    /// The published keys, that of `pair` first.
    keys: Vec<PublicKey>,
    /// Name of the key of `pair`.
    kid: String,
    issuer: String,
    ttl_max: Span,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("kid", &self.kid).field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Signer {
    /// Checks the settings and reads the key files; makes the private key where there is none.
    ///
    /// # Errors
    /// When a setting is out of bounds, or a file is no key, cannot be read, or can be read by others.
    pub fn open(settings: &Settings) -> Result<Self, CredentialError> {
        settings.check()?;
        let (pair, made_in) = match &settings.key_file {
            Some(file) => key::open(file).map(|(pair, is_made)| (pair, is_made.then_some(file)))?,
            None => (key::ephemeral()?, None),
        };
        let own = key::public_of(&pair)?;
        let kid = own.kid.clone();
        if let Some(file) = made_in {
            tracing::info!(file = %file.display(), kid, "made a new key for run credentials");
        }
        let mut keys = vec![own];
        for file in &settings.previous_key_files {
            let previous = key::open_public(file)?;
            if !keys.contains(&previous) {
                keys.push(previous);
            }
        }
        Ok(Self { pair, keys, kid, issuer: settings.issuer.clone(), ttl_max: settings.ttl_max })
    }

    /// Mints a token. Whether the session is halted is for the caller to ask.
    ///
    /// # Errors
    /// When the grant is out of bounds, or the system has no random numbers.
    pub fn mint(&self, grant: &Grant, now: Millis) -> Result<Minted, MintError> {
        check(grant)?;
        let failed = |error: &dyn fmt::Display| MintError::Failed(error.to_string());
        let jti = new_jti().map_err(|error| failed(&error))?;
        // Cut to whole seconds on both sides, so that no token lives longer than it may.
        let iat = now.0.div_euclid(1_000);
        let exp = iat.saturating_add(grant.ttl.min(self.ttl_max).0 / 1_000);
        let claims = Claims {
            iss: self.issuer.clone(),
            sub: grant.session.clone(),
            tenant: grant.tenant.clone(),
            agent: grant.agent.clone(),
            aud: grant.audience.clone(),
            tools: grant.tools.clone(),
            iat,
            nbf: iat,
            exp,
            jti: jti.clone(),
        };
        let header = serde_json::to_vec(&Header::new(&self.kid)).map_err(|error| failed(&error))?;
        let claims = serde_json::to_vec(&claims).map_err(|error| failed(&error))?;
        Ok(Minted { token: jws::sign(&self.pair, &header, &claims), jti, expires: seconds(exp) })
    }

    /// The published keys, as `/.well-known/jwks.json` has them: a JWK set (RFC 7517).
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({"keys": self.keys.iter().map(PublicKey::jwk).collect::<Vec<_>>()})
    }

    /// Verifies a token by the published keys and at this time, to the second, with no leeway. Its `aud` and
    /// whether it covers a tool are for the caller to judge.
    ///
    /// # Errors
    /// The first thing that is wrong, of form, key, signature, issuer and times.
    pub fn verify(&self, token: &str, now: Millis) -> Result<Claims, VerifyError> {
        let parts = Parts::of(token).map_err(VerifyError::Form)?;
        let kid = &parts.header.kid;
        let key = self.keys.iter().find(|key| key.kid == *kid).ok_or_else(|| VerifyError::UnknownKey(kid.clone()))?;
        let payload = parts.verified(key).ok_or(VerifyError::Signature)?.map_err(VerifyError::Form)?;
        let claims: Claims =
            serde_json::from_slice(&payload).map_err(|error| VerifyError::Form(format!("claims: {error}")))?;
        if claims.iss != self.issuer {
            return Err(VerifyError::Issuer { expected: self.issuer.clone(), got: claims.iss });
        }
        if now < seconds(claims.nbf) {
            return Err(VerifyError::NotYet(seconds(claims.nbf)));
        }
        if now >= seconds(claims.exp) {
            return Err(VerifyError::Expired(seconds(claims.exp)));
        }
        Ok(claims)
    }
}

fn seconds(seconds: i64) -> Millis {
    Millis(seconds.saturating_mul(1_000))
}

fn check(grant: &Grant) -> Result<(), MintError> {
    let wrong = |problem| Err(MintError::Grant(problem));
    let names = [
        ("session", Some(&grant.session)),
        ("tenant", Some(&grant.tenant)),
        ("agent", grant.agent.as_ref()),
        ("audience", grant.audience.as_ref()),
    ];
    for (what, name) in names.into_iter().filter_map(|(what, name)| Some((what, name?))) {
        if !(1..=ID_BYTES_MAX).contains(&name.len()) {
            return wrong(format!("{what}: expected 1 to {ID_BYTES_MAX} bytes, got {}", name.len()));
        }
    }
    if !(1..=TOOLS_MAX).contains(&grant.tools.len()) {
        return wrong(format!("tools: expected 1 to {TOOLS_MAX} names or globs, got {}", grant.tools.len()));
    }
    for glob in &grant.tools {
        if !(1..=TOOL_NAME_BYTES_MAX).contains(&glob.len()) || glob.contains(char::is_control) {
            let start: String = glob.chars().take(SHOWN_CHARS).collect();
            return wrong(format!(
                "tools: expected names or globs of 1 to {TOOL_NAME_BYTES_MAX} bytes without control characters, got {start:?}"
            ));
        }
    }
    if grant.ttl < TTL_MIN {
        return wrong(format!("ttl: expected at least {TTL_MIN}, got {}", grant.ttl));
    }
    Ok(())
}

fn new_jti() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("t_{:032x}", u128::from_be_bytes(bytes)))
}
