//! Whom we trust over TLS.
//!
//! The system's roots and the certificates of one file. The provider is given here and not to the whole process, which is
//! not ours alone. Reads files; connects to nothing.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::FetchError;

/// Whom we trust, with what is in `ca_file`, a PEM file.
pub(super) fn trusting(ca_file: Option<&Path>) -> Result<ClientConfig, FetchError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = ca_file.map(certificates).transpose()?.unwrap_or_default();
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| FetchError::NotSent(format!("no TLS: {error}")))?;
    let mut config = match Verifier::new_with_extra_roots(roots, provider) {
        Ok(verifier) => {
            config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
        // A small container may have none, and need none: only who speaks TLS finds it missing.
        Err(error) => {
            tracing::debug!(why = error.to_string(), "no roots of the system");
            config.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The certificates of a PEM file. Errors name the file.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, FetchError> {
    let error = |why: String| FetchError::NotSent(format!("`ca_file` {}: {why}", file.display()));
    let text = std::fs::read(file).map_err(|cause| error(cause.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|cause| error(format!("is no PEM: {cause}")))?;
    let mut store = RootCertStore::empty();
    for certificate in &found {
        store.add(certificate.clone()).map_err(|cause| error(cause.to_string()))?;
    }
    if found.is_empty() { Err(error("holds no certificate".to_owned())) } else { Ok(found) }
}
