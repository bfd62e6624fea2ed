//! Run credentials: short-lived tokens that name a session and the tools that it may call, for tool servers to
//! check by themselves. JWS, EdDSA over Ed25519 (RFC 7515, RFC 8037), always in the compact form.
//!
//! - A halted session gets no new token; one that it has stays good until it expires, so its life is short.
//! - The algorithm is pinned: `none`, HMAC, and every header parameter that is not ours are refused before
//!   anything is computed.
//! - Tool servers check tokens against the JWKS, and compare the name of the called tool with the globs of
//!   `tools`: `*` stands for any characters, `?` for one.
//! - Processes of one fleet must share the key file, else each signs with a key that the others do not publish.
//!
//! To rotate the key: put the public key of the next one (`openssl pkey -in NEXT -pubout`) under
//! `previous_key_files` and wait until tool servers have fetched the JWKS anew; then make the next one the
//! `key_file` and the old one a previous; drop that one `ttl_max` later.
//!
//! Deliberately absent: revocation of a single token, encryption, and other algorithms. Signing is `ring`, which
//! TLS has in the tree already; the JOSE around it is a header and two dots.

mod jws;
mod key;
mod settings;
mod signer;
#[cfg(test)]
mod signer_tests;

pub use settings::{CredentialError, Settings};
pub use signer::{Claims, Grant, MintError, Minted, Signer, VerifyError};
