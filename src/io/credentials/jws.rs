//! The JOSE of one algorithm: JWS in compact form (RFC 7515) and keys as JWK (RFC 7517, RFC 8037).
//!
//! Base64url is read strictly: no padding, no other alphabet, no stray bits, so a token has one spelling.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The only algorithm.
const ALGORITHM: &str = "EdDSA";
/// The only type.
const TYPE: &str = "JWT";
/// Longest token that is looked at, in bytes: a grant at all its bounds stays below.
const TOKEN_BYTES_MAX: usize = 64 << 10;

/// The protected header. Read strictly: `crit`, `jwk`, `jku` and the like mean something, and we do not do it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    alg: String,
    typ: String,
    pub(super) kid: String,
}

impl Header {
    pub(super) fn new(kid: &str) -> Self {
        Self { alg: ALGORITHM.to_owned(), typ: TYPE.to_owned(), kid: kid.to_owned() }
    }
}

/// Signs a header and a payload, both JSON.
pub(super) fn sign(pair: &Ed25519KeyPair, header: &[u8], payload: &[u8]) -> String {
    let mut token = URL_SAFE_NO_PAD.encode(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = pair.sign(token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    token
}

/// A token taken apart; nothing of it is to be believed before its signature was verified.
pub(super) struct Parts<'t> {
    pub(super) header: Header,
    signed: &'t str,
    payload: &'t str,
    signature: Vec<u8>,
}

impl<'t> Parts<'t> {
    /// Takes a token apart. The error says what was expected.
    pub(super) fn of(token: &'t str) -> Result<Self, String> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(format!("expected at most {TOKEN_BYTES_MAX} bytes, got {}", token.len()));
        }
        let three = || "expected three parts of base64url with dots between them".to_owned();
        let (signed, signature) = token.rsplit_once('.').ok_or_else(three)?;
        let (header, payload) = signed.split_once('.').filter(|(_, rest)| !rest.contains('.')).ok_or_else(three)?;
        let header: Header = serde_json::from_slice(&decode("header", header)?)
            .map_err(|error| format!("header: expected alg, typ and kid: {error}"))?;
        if header.alg != ALGORITHM || header.typ != TYPE {
            return Err(format!(
                "header: expected alg `{ALGORITHM}` and typ `{TYPE}`, got `{}` and `{}`",
                header.alg, header.typ
            ));
        }
        Ok(Self { header, signed, payload, signature: decode("signature", signature)? })
    }

    /// The payload, if this key signed it.
    pub(super) fn verified(&self, key: &PublicKey) -> Option<Result<Vec<u8>, String>> {
        let verified = UnparsedPublicKey::new(&ED25519, &key.bytes).verify(self.signed.as_bytes(), &self.signature);
        verified.ok().map(|()| decode("claims", self.payload))
    }
}

fn decode(what: &str, part: &str) -> Result<Vec<u8>, String> {
    URL_SAFE_NO_PAD.decode(part).map_err(|error| format!("{what}: expected base64url without padding: {error}"))
}

/// A public key and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PublicKey {
    /// The thumbprint of RFC 7638: whoever has the key knows its name.
    pub(super) kid: String,
    bytes: [u8; 32],
}

impl PublicKey {
    pub(super) fn new(bytes: [u8; 32]) -> Self {
        // The members that RFC 8037 asks for, in the order that RFC 7638 asks for.
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, URL_SAFE_NO_PAD.encode(bytes));
        Self { kid: URL_SAFE_NO_PAD.encode(Sha256::digest(members)), bytes }
    }

    pub(super) fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.bytes);
        json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.kid, "alg": ALGORITHM, "use": "sig"})
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::KeyPair as _;

    use super::*;

    /// The key pair of RFC 8037, appendix A.1.
    const D: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    /// The token of appendix A.4.
    const SIGNED: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg\
                          3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    fn pair() -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&URL_SAFE_NO_PAD.decode(D).expect("base64")).expect("a seed")
    }

    fn public() -> PublicKey {
        PublicKey::new(pair().public_key().as_ref().try_into().expect("32 bytes"))
    }

    #[test]
    fn the_examples_of_rfc_8037_come_out() {
        let jwk = public().jwk();
        assert_eq!((&jwk["x"], &jwk["kid"]), (&json!(X), &json!("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")));
        assert_eq!(sign(&pair(), br#"{"alg":"EdDSA"}"#, b"Example of Ed25519 signing"), SIGNED);
        // Appendix A.5 verifies it; here its header lacks what ours have, so only its signature is looked at.
        let header = Header::new("k");
        let (signed, signature) = SIGNED.rsplit_once('.').expect("a dot");
        let (_, payload) = signed.split_once('.').expect("a dot");
        let parts = Parts { header, signed, payload, signature: decode("signature", signature).expect("base64") };
        assert_eq!(parts.verified(&public()), Some(Ok(b"Example of Ed25519 signing".to_vec())));
        assert!(Parts::of(SIGNED).err().expect("no kid").contains("missing field `typ`"));
    }

    #[test]
    fn headers_that_are_not_ours_are_refused() {
        let good = r#"{"alg":"EdDSA","typ":"JWT","kid":"k"}"#;
        let rows = [
            (r#"{"alg":"none","typ":"JWT","kid":"k"}"#, "expected alg `EdDSA`"),
            (r#"{"alg":"HS256","typ":"JWT","kid":"k"}"#, "expected alg `EdDSA`"),
            (r#"{"alg":"eddsa","typ":"JWT","kid":"k"}"#, "expected alg `EdDSA`"),
            (r#"{"alg":"EdDSA","typ":"at+jwt","kid":"k"}"#, "typ `JWT`, got `EdDSA` and `at+jwt`"),
            (r#"{"alg":"EdDSA","typ":"JWT"}"#, "missing field `kid`"),
            (r#"{"alg":"EdDSA","typ":"JWT","kid":["k"]}"#, "invalid type"),
            (r#"{"alg":"EdDSA","typ":"JWT","kid":"k","crit":["b64"],"b64":false}"#, "unknown field `crit`"),
            (r#"{"alg":"EdDSA","typ":"JWT","kid":"k","jwk":{}}"#, "unknown field `jwk`"),
            (r#"{"alg":"none","alg":"EdDSA","typ":"JWT","kid":"k"}"#, "duplicate field `alg`"),
            ("[]", "invalid"),
            ("", "EOF"),
        ];
        assert!(Parts::of(&sign(&pair(), good.as_bytes(), b"{}")).is_ok());
        for (header, expected) in rows {
            let error = Parts::of(&sign(&pair(), header.as_bytes(), b"{}")).err().expect(header);
            assert!(error.contains(expected), "{header}: {error}");
        }
    }

    #[test]
    fn a_token_has_one_spelling() {
        let token = sign(&pair(), br#"{"alg":"EdDSA","typ":"JWT","kid":"k"}"#, b"{}");
        let parts: Vec<&str> = token.split('.').collect();
        let last_bits = |part: &str| format!("{}{}", &part[..part.len() - 1], "h");
        let rows = [
            (String::new(), "three parts"),
            (parts[0].to_owned(), "three parts"),
            (format!("{}.{}", parts[0], parts[1]), "three parts"),
            (format!("{token}."), "three parts"),
            (format!("{token}=="), "signature: expected base64url"),
            (format!("{token}\n"), "signature: expected base64url"),
            (format!(" {token}"), "header: expected base64url"),
            (format!("{}.{}.{}", parts[0], parts[1], last_bits(parts[2])), "signature: expected base64url"),
            ("e".repeat(TOKEN_BYTES_MAX + 1), "expected at most 65536 bytes, got 65537"),
        ];
        for (text, expected) in rows {
            let error = Parts::of(&text).err().expect("refused");
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
