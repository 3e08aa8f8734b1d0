//! An upstream over HTTPS: asked where its certificate is trusted, and told nothing where it is not.

use std::io::Write;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;

use crate::support::{Behaviour, COMPLETIONS, Relay, Upstream, WHOLE, question};

/// Puts TLS before a plain upstream; gives its address and the certificate that it shows.
async fn encrypted(upstream: &Upstream) -> (String, String) {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certified.cert.der().clone()],
            certified.signing_key.serialize_der().try_into().unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address =
        format!("https://localhost:{}{COMPLETIONS}", listener.local_addr().unwrap().port());
    let plain = upstream.address();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Who does not trust the certificate ends the handshake.
                let Ok(mut outside) = acceptor.accept(stream).await else { return };
                let mut inside = TcpStream::connect(plain).await.unwrap();
                drop(tokio::io::copy_bidirectional(&mut outside, &mut inside).await);
            });
        }
    });
    (address, certified.cert.pem())
}

#[tokio::test]
async fn a_trusted_upstream_is_asked_and_another_is_told_nothing() {
    let upstream = Upstream::start(Behaviour::Answer).await;
    let (address, certificate) = encrypted(&upstream).await;
    let untrusting = Relay::start(None, &["--upstream", &address]).await;
    untrusting.post(&question()).await.is(502, "upstream_unreachable");
    assert!(upstream.requests().is_empty());
    assert!(untrusting.log().contains("certificate"), "{}", untrusting.log());

    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(certificate.as_bytes()).unwrap();
    let trusting = [("SSL_CERT_FILE", file.path().to_str().unwrap())];
    let relay = Relay::start_with(None, &["--upstream", &address], &trusting)
        .await
        .unwrap_or_else(|words| panic!("{words}"));
    assert_eq!(relay.post(&question()).await.text(), WHOLE);
    assert_eq!(upstream.requests().len(), 1);
}
