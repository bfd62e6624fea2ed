//! TLS of the control API, with client certificates where they are asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde::Deserialize;
use tokio_rustls::TlsAcceptor;

/// `[http.tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// The certificate and those that lead to its root, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Certificates of authorities, PEM: only clients with a certificate that one of them signed are let in.
    pub client_ca: Option<PathBuf>,
}

/// Reads certificates and key.
///
/// # Errors
/// Says which file is no good and what was expected in it.
pub(super) fn acceptor(settings: &TlsSettings) -> Result<TlsAcceptor, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("http.tls: {error}"))?;
    let builder = match &settings.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for root in certificates("client_ca", path)? {
                roots.add(root).map_err(|error| wrong("client_ca", path, &error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| wrong("client_ca", path, &error))?)
        }
    };
    let key = PrivateKeyDer::from_pem_file(&settings.key)
        .map_err(|error| format!("{}: expected a PEM private key", wrong("key", &settings.key, &error)))?;
    let mut config = builder
        .with_single_cert(certificates("cert", &settings.cert)?, key)
        .map_err(|error| wrong("cert", &settings.cert, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(what: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| wrong(what, path, &error))?;
    if certificates.is_empty() {
        return Err(format!("http.tls.{what}: expected PEM certificates in {}, got none", path.display()));
    }
    Ok(certificates)
}

fn wrong(what: &str, path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("http.tls.{what}: cannot use {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_good_are_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let (empty, junk) = (path("empty.pem", ""), path("junk.pem", "-----BEGIN CERTIFICATE-----\n!\n"));
        let settings = |cert: &Path, key: &Path, client_ca: Option<&Path>| TlsSettings {
            cert: cert.to_owned(),
            key: key.to_owned(),
            client_ca: client_ca.map(Path::to_owned),
        };
        let missing = dir.path().join("missing.pem");
        let rows = [
            (settings(&empty, &missing, None), "http.tls.key: cannot use"),
            (settings(&empty, &empty, None), "expected a PEM private key"),
            (settings(&empty, &empty, Some(&empty)), "http.tls.client_ca: expected PEM certificates in"),
            (settings(&empty, &empty, Some(&junk)), "http.tls.client_ca: cannot use"),
        ];
        for (settings, expected) in rows {
            let error = acceptor(&settings).err().expect("refused");
            assert!(error.contains(expected), "{error}");
        }
    }
}
