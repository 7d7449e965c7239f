//! What our own TLS needs: a certificate and its key, and whose certificates clients may show, from files in PEM.
//!
//! Every error names the file that it is about. Only HTTP/1.1 is offered.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::TlsAcceptor;

use crate::config::{ClientCertificates, Tls};

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("`listen.tls`: `{}`: {error}", file.display())]
    Io { file: PathBuf, error: io::Error },
    #[error("`listen.tls`: `{}` holds no certificate in PEM", .0.display())]
    NoCertificate(PathBuf),
    #[error("`listen.tls`: `{}` holds no private key in PEM", .0.display())]
    NoKey(PathBuf),
    #[error("`listen.tls`: `{}` is no PEM that we can read: {error}", file.display())]
    Pem { file: PathBuf, error: pem::Error },
    #[error("`listen.tls`: `{}` cannot say who makes certificates of clients: {why}", file.display())]
    Authority { file: PathBuf, why: String },
    #[error("`listen.tls`: `{}` and `{}` cannot be used together: {error}", cert.display(), key.display())]
    Unfit { cert: PathBuf, key: PathBuf, error: rustls::Error },
}

pub(super) fn acceptor(tls: &Tls) -> Result<TlsAcceptor, TlsError> {
    let chain = CertificateDer::pem_file_iter(&tls.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unread(&tls.cert, error, TlsError::NoCertificate))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(tls.cert.clone()));
    }
    let key =
        PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| unread(&tls.key, error, TlsError::NoKey))?;
    let unfit = |error| TlsError::Unfit { cert: tls.cert.clone(), key: tls.key.clone(), error };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(unfit)?;
    let config = match &tls.clients {
        Some(clients) => config.with_client_cert_verifier(verifier(clients, provider)?),
        None => config.with_no_client_auth(),
    };
    let mut config = config.with_single_cert(chain, key).map_err(unfit)?;
    if tls.clients.is_some() {
        // Whoever comes again shows his certificate again: it may have ended.
        config.session_storage = Arc::new(NoServerSessionStorage {});
    }
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// What a client's certificate must be.
fn verifier(
    clients: &ClientCertificates,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let file = &clients.ca;
    let roots = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unread(file, error, TlsError::NoCertificate))?;
    let unusable = |why: String| TlsError::Authority { file: file.clone(), why };
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root).map_err(|error| unusable(error.to_string()))?;
    }
    if store.is_empty() {
        return Err(TlsError::NoCertificate(file.clone()));
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider);
    let verifier = if clients.are_required { verifier } else { verifier.allow_unauthenticated() };
    verifier.build().map_err(|error| unusable(error.to_string()))
}

fn unread(file: &Path, error: pem::Error, empty: fn(PathBuf) -> TlsError) -> TlsError {
    if matches!(error, pem::Error::NoItemsFound) {
        return empty(file.to_owned());
    }
    let file = file.to_owned();
    if let pem::Error::Io(error) = error {
        TlsError::Io { file, error }
    } else {
        TlsError::Pem { file, error }
    }
}
