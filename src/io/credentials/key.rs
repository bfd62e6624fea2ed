//! Key files: read with care, made where missing.
//!
//! A key is PKCS#8 version 1, as OpenSSL writes and reads it too. A new one appears under its name whole, for
//! its owner alone, and never in the place of another: of two processes that start at once, one makes it and
//! both use it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

use super::jws::PublicKey;
use super::settings::CredentialError;

/// Largest file that is read: a key has some hundred bytes.
const FILE_BYTES_MAX: u64 = 16 << 10;
/// What stands before the 32 bytes of a private key (RFC 8410, 7).
const PRIVATE_PREFIX: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
/// What stands before the 32 bytes of a public key (RFC 8410, 4).
const PUBLIC_PREFIX: [u8; 12] = *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// Bits of a file's mode that let others at it.
const MODE_OTHERS: u32 = 0o077;
const MODE_OWNER: u32 = 0o600;

/// Reads the private key, which is made first where there is none. Also says whether it was.
pub(super) fn open(file: &Path) -> Result<(Ed25519KeyPair, bool), CredentialError> {
    let (text, is_made) = match read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let is_made = make(file).map_err(|error| {
                let problem = format!(
                    "cannot make it: {error}; to make one by hand: openssl genpkey -algorithm ed25519 -out FILE && chmod 600 FILE"
                );
                CredentialError::key(file, problem)
            })?;
            (read(file), is_made)
        }
        read => (read, false),
    };
    let (text, mode) = text.map_err(|error| unreadable(file, &error))?;
    Ok((private(file, &text, mode)?, is_made))
}

/// Reads a key that only verifies: a public key, or a private one of which that is taken.
pub(super) fn open_public(file: &Path) -> Result<PublicKey, CredentialError> {
    let (text, mode) = read(file).map_err(|error| unreadable(file, &error))?;
    match SubjectPublicKeyInfoDer::from_pem_slice(&text) {
        Ok(key) => {
            let bytes = key.strip_prefix(&PUBLIC_PREFIX).and_then(|bytes| bytes.try_into().ok());
            let other = || CredentialError::key(file, "expected a public key for Ed25519, got one for something else");
            bytes.map(PublicKey::new).ok_or_else(other)
        }
        Err(_) => public_of(&private(file, &text, mode)?),
    }
}

/// The public half.
pub(super) fn public_of(pair: &Ed25519KeyPair) -> Result<PublicKey, CredentialError> {
    let bytes = pair.public_key().as_ref().try_into();
    bytes.map(PublicKey::new).map_err(|_| CredentialError::Settings("expected a public key of 32 bytes".to_owned()))
}

fn unreadable(file: &Path, error: &std::io::Error) -> CredentialError {
    CredentialError::key(file, format!("cannot read it: {error}"))
}

/// The bytes of a file and the mode it had while they were read.
fn read(path: &Path) -> std::io::Result<(Vec<u8>, u32)> {
    // Before it is opened: opening a pipe would wait for a writer.
    if !path.metadata()?.is_file() {
        return Err(std::io::Error::other("expected a file, got something else"));
    }
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!("expected a key of at most {FILE_BYTES_MAX} bytes")));
    }
    Ok((text, mode))
}

fn private(file: &Path, text: &[u8], mode: u32) -> Result<Ed25519KeyPair, CredentialError> {
    if mode & MODE_OTHERS != 0 {
        let problem = format!(
            "expected mode 600, for nobody but its owner, got {:03o}: chmod 600 it, and if others may have read it, make a new key",
            mode & 0o777
        );
        return Err(CredentialError::key(file, problem));
    }
    let der = PrivatePkcs8KeyDer::from_pem_slice(text).map_err(|error| {
        let problem =
            format!("expected a key in PKCS#8 and PEM, `-----BEGIN PRIVATE KEY-----`, not encrypted: {error}");
        CredentialError::key(file, problem)
    })?;
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
        .map_err(|error| CredentialError::key(file, format!("expected a private key for Ed25519: {error}")))
}

/// Makes a new key, unless there is a file by then; whether it did.
fn make(file: &Path) -> std::io::Result<bool> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut name = file.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{:016x}.new", getrandom::u64()?));
    let temporary = folder.join(name);
    let placed = write_new(&temporary).and_then(|()| place(&temporary, file));
    // Under its own name or not at all: what is left here has no use, and no other name leads to it.
    let _ = std::fs::remove_file(&temporary);
    let is_made = placed?;
    File::open(folder)?.sync_all()?;
    Ok(is_made)
}

/// Writes a new key to a file that only its owner can read from the first byte on.
fn write_new(path: &Path) -> std::io::Result<()> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE_OWNER).open(path)?;
    file.write_all(pem_of(&seed).as_bytes())?;
    file.sync_all()
}

/// A key that is in no file.
pub(super) fn ephemeral() -> Result<Ed25519KeyPair, CredentialError> {
    let mut seed = [0; 32];
    let failed = |error: &dyn std::fmt::Display| CredentialError::Settings(format!("cannot make a key: {error}"));
    getrandom::fill(&mut seed).map_err(|error| failed(&error))?;
    Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|error| failed(&error))
}

fn pem_of(seed: &[u8; 32]) -> String {
    let der = [PRIVATE_PREFIX.as_slice(), seed].concat();
    // 64 characters, so it is one line.
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
}

/// Gives the file its name. A link, since that fails where there is a file, and a rename would put it away.
fn place(temporary: &Path, file: &Path) -> std::io::Result<bool> {
    match std::fs::hard_link(temporary, file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}
