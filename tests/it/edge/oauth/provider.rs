//! An identity provider on a port of loopback: metadata, keys, a word about tokens that are no JWTs, and a signer of all kinds.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;

use super::super::rig::file;

/// It runs until the test ends.
pub(super) struct Provider {
    pub(super) issuer: String,
    pub(super) keys: Keys,
    said: Arc<Said>,
}

#[derive(Default)]
struct Said {
    /// Who has a key set: the names of keys.
    jwks: Mutex<Value>,
    issuer: Mutex<String>,
    asked: Mutex<Vec<String>>,
}

/// What it signs with.
pub(super) struct Keys {
    ec: EcdsaKeyPair,
    /// One that its key set does not hold.
    pub(super) foreign: EcdsaKeyPair,
    ed: Ed25519KeyPair,
    rsa: RsaKeyPair,
    random: SystemRandom,
}

impl Provider {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let (keys, said) = (Keys::new(), Arc::new(Said::default()));
        *said.jwks.lock() = keys.jwks();
        *said.issuer.lock() = issuer.clone();
        let router = Router::new().fallback(answer).with_state(said.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { issuer, keys, said }
    }

    /// The same behind a certificate that no system trusts.
    pub(super) async fn start_secure() -> Self {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let issuer = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let (keys, said) = (Keys::new(), Arc::new(Said::default()));
        *said.jwks.lock() = keys.jwks();
        *said.issuer.lock() = issuer.clone();
        let chain = vec![CertificateDer::from_pem_file(file("localhost.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(file("localhost.key")).unwrap();
        let tls = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let tls = tls.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let tls = TlsAcceptor::from(Arc::new(tls.with_single_cert(chain, key).unwrap()));
        let heard = said.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, heard) = (tls.clone(), heard.clone());
                tokio::spawn(async move {
                    // Who does not trust it has hung up.
                    let Ok(stream) = tls.accept(stream).await else { return };
                    let answers = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                        let answered = answer(State(heard.clone()), request.map(Body::new));
                        async move { Ok::<_, Infallible>(answered.await.into_response()) }
                    });
                    http1::Builder::new().serve_connection(TokioIo::new(stream), answers).await.ok();
                });
            }
        });
        Self { issuer, keys, said }
    }

    /// How often something was asked for.
    pub(super) fn asked(&self, path: &str) -> usize {
        self.said.asked.lock().iter().filter(|asked| *asked == path).count()
    }

    /// Claims of a token that counts, for these doors.
    pub(super) fn claims(&self, sub: &str) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        json!({"iss": self.issuer, "aud": super::RESOURCE, "sub": sub, "iat": now, "nbf": now, "exp": now + 300, "scope": "read"})
    }
}

async fn answer(State(said): State<Arc<Said>>, request: Request) -> (StatusCode, String) {
    let path = request.uri().path().to_owned();
    said.asked.lock().push(path.clone());
    let issuer = said.issuer.lock().clone();
    let found = match path.as_str() {
        "/.well-known/oauth-authorization-server" => json!({
            "issuer": issuer, "jwks_uri": format!("{issuer}/keys"), "introspection_endpoint": format!("{issuer}/introspect"),
        }),
        "/keys" => said.jwks.lock().clone(),
        "/introspect" => {
            let body = axum::body::to_bytes(request.into_body(), 1 << 16).await.unwrap();
            let is_known = body.starts_with(b"token=opaque-of-ana&");
            json!({"active": is_known, "sub": "ana", "aud": super::RESOURCE, "scope": "read"})
        }
        _ => return (StatusCode::NOT_FOUND, String::new()),
    };
    (StatusCode::OK, found.to_string())
}

impl Keys {
    fn new() -> Self {
        let random = SystemRandom::new();
        let ec = || {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap()
        };
        let rsa = PrivatePkcs8KeyDer::from_pem_file(file("rsa.key")).unwrap();
        Self {
            ec: ec(),
            foreign: ec(),
            ed: Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap(),
            rsa: RsaKeyPair::from_pkcs8(rsa.secret_pkcs8_der()).unwrap(),
            random,
        }
    }

    fn modulus(&self) -> Vec<u8> {
        RsaPublicKeyComponents::<Vec<u8>>::from(self.rsa.public()).n
    }

    fn jwks(&self) -> Value {
        let point = self.ec.public_key().as_ref();
        let modulus = self.modulus();
        json!({"keys": [
            {"kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "alg": "ES256", "x": base64(&point[1..33]), "y": base64(&point[33..])},
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": base64(self.ed.public_key())},
            {"kty": "RSA", "kid": "rsa", "n": base64(&modulus), "e": "AQAB"},
            {"kty": "RSA", "kid": "enc", "use": "enc", "n": base64(&modulus), "e": "AQAB"},
        ]})
    }

    /// The key that everybody can read, as bytes: what a careless reader takes for a shared secret.
    pub(super) fn public_texts(&self) -> Vec<Vec<u8>> {
        let point = self.ec.public_key().as_ref().to_vec();
        let modulus = self.modulus();
        let jwk = self.jwks()["keys"][2].to_string().into_bytes();
        vec![point, modulus, jwk, b"AQAB".to_vec()]
    }

    /// A token with this head and these claims, signed as the head says.
    pub(super) fn token(&self, head: &Value, claims: &Value) -> String {
        self.token_of(&head.to_string(), &claims.to_string())
    }

    pub(super) fn token_of(&self, head: &str, claims: &str) -> String {
        let text = format!("{}.{}", base64(head), base64(claims));
        let algorithm = serde_json::from_str::<Value>(head).unwrap_or_default()["alg"].clone();
        let signature = match algorithm.as_str() {
            Some("EdDSA" | "Ed25519") => self.ed.sign(text.as_bytes()).as_ref().to_vec(),
            Some(name @ ("RS256" | "PS256")) => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                let (pkcs1, pss): (&dyn ring::signature::RsaEncoding, &dyn ring::signature::RsaEncoding) =
                    (&RSA_PKCS1_SHA256, &RSA_PSS_SHA256);
                let padding = if name == "RS256" { pkcs1 } else { pss };
                self.rsa.sign(padding, &self.random, text.as_bytes(), &mut signature).unwrap();
                signature
            }
            _ => self.ec.sign(&self.random, text.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{text}.{}", base64(signature))
    }

    pub(super) fn signed_by_another(&self, head: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", base64(head.to_string()), base64(claims.to_string()));
        let signature = self.foreign.sign(&self.random, text.as_bytes()).unwrap();
        format!("{text}.{}", base64(signature))
    }
}

pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
