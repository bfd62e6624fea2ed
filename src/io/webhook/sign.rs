//! Signatures after Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`.
//!
//! Secrets never show: not in errors, not in `Debug`. Only the symmetric `v1` is here; `v1a` (ed25519)
//! is not.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const PREFIX: &str = "whsec_";
const KEY_BYTES_MIN: usize = 24;
const KEY_BYTES_MAX: usize = 64;
/// Most secrets at once: the new one and the old one.
const SECRETS_MAX: usize = 2;

/// What is wrong with a secret; says nothing of what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It begins with something else.
    #[error("expected `whsec_` followed by base64")]
    Prefix,
    /// What follows the prefix cannot be decoded.
    #[error("expected padded standard base64 after `whsec_`")]
    Base64,
    /// The key is too short to be safe, or longer than the standard allows.
    #[error("expected base64 of 24 to 64 bytes after `whsec_`, got {0} bytes")]
    Length(usize),
    /// None, or more than a rotation needs.
    #[error("expected one secret, or two (the new one, a space, the old one) while rotating, got {0}")]
    Count(usize),
}

/// One signing secret, `whsec_` and base64 of 24 to 64 bytes.
#[derive(Clone)]
pub struct Secret {
    /// Keyed once; copied for each signature.
    keyed: Hmac<Sha256>,
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(SecretError::Prefix)?;
        let key = STANDARD.decode(encoded).map_err(|_| SecretError::Base64)?;
        if !(KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&key.len()) {
            return Err(SecretError::Length(key.len()));
        }
        let keyed = Hmac::new_from_slice(&key).map_err(|_| SecretError::Length(key.len()))?;
        Ok(Self { keyed })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl Secret {
    /// The signature, `v1,` and base64. `timestamp` is in seconds since the Unix epoch; `id` must hold
    /// no `.`, which ours never do.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut mac = self.keyed.clone();
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// One secret, or two while rotating, separated by white space: the receiver accepts either signature.
#[derive(Clone, Debug)]
pub struct Secrets(Vec<Secret>);

impl FromStr for Secrets {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let secrets = text.split_whitespace().map(str::parse).collect::<Result<Vec<_>, _>>()?;
        if (1..=SECRETS_MAX).contains(&secrets.len()) {
            Ok(Self(secrets))
        } else {
            Err(SecretError::Count(secrets.len()))
        }
    }
}

impl Secrets {
    /// The value of `webhook-signature`: the signatures of all secrets, separated by spaces.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let signatures: Vec<String> = self.0.iter().map(|secret| secret.sign(id, timestamp, body)).collect();
        signatures.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use proptest::prelude::*;
    use standardwebhooks::Webhook;

    use super::*;
    use crate::io::clock;

    fn secret(byte: u8) -> String {
        format!("{PREFIX}{}", STANDARD.encode([byte; 32]))
    }

    fn accepts(secret: &str, timestamp: i64, body: &[u8], signatures: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "h_1".parse().expect("a header"));
        headers.insert("webhook-timestamp", timestamp.to_string().parse().expect("a header"));
        headers.insert("webhook-signature", signatures.parse().expect("a header"));
        Webhook::new(secret).expect("a secret").verify(body, &headers).is_ok()
    }

    #[test]
    fn the_example_of_the_standard_gives_its_signature() {
        let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().expect("a secret");
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn the_published_verifier_accepts_both_secrets_of_a_rotation_and_no_third() {
        let (new, old, other) = (secret(1), secret(2), secret(3));
        let now = clock::now().0 / 1_000;
        let rotating: Secrets = format!("{new} {old}").parse().expect("two secrets");
        let signatures = rotating.sign("h_1", now, b"{}");
        assert_eq!(signatures.split(' ').count(), 2);
        assert!(accepts(&new, now, b"{}", &signatures) && accepts(&old, now, b"{}", &signatures));
        assert!(!accepts(&other, now, b"{}", &signatures));
    }

    #[test]
    fn bad_secrets_say_why_and_not_what() {
        let short = format!("{PREFIX}{}", STANDARD.encode([7; 23]));
        let long = format!("{PREFIX}{}", STANDARD.encode([7; 65]));
        let three = [secret(1), secret(2), secret(3)].join("\n");
        let rows = [
            ("swordfish", SecretError::Prefix),
            ("whpk_c3dvcmRmaXNo", SecretError::Prefix),
            ("whsec_sword fish", SecretError::Base64),
            ("whsec_*swordfish*", SecretError::Base64),
            (&short, SecretError::Length(23)),
            (&long, SecretError::Length(65)),
            ("", SecretError::Count(0)),
            (&three, SecretError::Count(3)),
        ];
        for (text, expected) in rows {
            let error = text.parse::<Secrets>().expect_err(text);
            assert_eq!(error, expected);
            assert!(!error.to_string().contains("fish"), "{error}");
        }
        let good: Secrets = secret(7).parse().expect("a secret");
        assert_eq!(format!("{good:?}"), "Secrets([Secret(redacted)])");
    }

    proptest! {
        #[test]
        fn another_body_time_or_secret_is_refused(
            body in "\\PC{0,200}", other in "\\PC{0,200}", seconds in 1_i64..200, key in any::<[u8; 32]>(),
        ) {
            let text = format!("{PREFIX}{}", STANDARD.encode(key));
            let now = clock::now().0 / 1_000;
            let signature = text.parse::<Secret>().expect("a secret").sign("h_1", now, body.as_bytes());
            prop_assert!(accepts(&text, now, body.as_bytes(), &signature));
            prop_assert_eq!(accepts(&text, now, other.as_bytes(), &signature), body == other);
            prop_assert!(!accepts(&text, now - seconds, body.as_bytes(), &signature));
            prop_assert_eq!(accepts(&secret(9), now, body.as_bytes(), &signature), key == [9; 32]);
        }
    }
}
