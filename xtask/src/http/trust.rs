//! Which servers are believed to be who they say.
//!
//! The system's certificates count, which `SSL_CERT_FILE` and `SSL_CERT_DIR` replace, and for each registry those of
//! its own directory, as Docker and Podman read it: `certs.d/HOST:PORT/*.crt` are CAs, `*.cert` with its `*.key` is who
//! we are. A certificate that signs itself is trusted by naming it, as OpenSSL does.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_platform_verifier::Verifier;
use url::Url;

use super::body::Error;
use super::tls_error::{self, is_own_authority};

static DIRECTORIES: OnceLock<Vec<PathBuf>> = OnceLock::new();

/// Has registries' own certificates looked for in these `certs.d` too, from now on; the system's are known. The first
/// call counts.
pub fn look_for_certificates_in(directories: Vec<PathBuf>) {
    let _ = DIRECTORIES.set(directories);
}

/// What is done with a certificate of the server itself; those of others, such as its token server, are always checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    #[default]
    Checked,
    Unchecked,
}

/// The TLS of a client for the server at `base`.
pub(super) fn tls(base: &Url, verify: Verify) -> Result<ClientConfig, Error> {
    let provider = CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    let own = Own::of(base, &provider)?;
    // Adding one that signs itself makes it an authority, which is not enough: see `Judge`.
    let system = match Verifier::new_with_extra_roots(own.authorities.clone(), provider.clone()) {
        Ok(system) => Some(system),
        Err(_) if verify == Verify::Unchecked || base.scheme() == "http" => None,
        Err(_) => return Err(failed(no_certificates())),
    };
    let judge = Judge {
        system,
        provider: Arc::clone(&provider),
        named: own.authorities,
        unchecked: match verify {
            Verify::Checked => None,
            Verify::Unchecked => base
                .host_str()
                .map(|it| it.trim_matches(['[', ']']).to_owned()),
        },
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(judge));
    Ok(match own.identity {
        Some(identity) => {
            config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))
        }
        None => config.with_no_client_auth(),
    })
}

fn failed(reason: String) -> Error {
    Error::Broken {
        reason,
        is_connect: true,
    }
}

fn no_certificates() -> String {
    let why = tls_error::unread().map(|error| format!(" ({error})"));
    format!(
        "this machine has no certificates by which `https` could be trusted{}; \
         hint: install the package `ca-certificates`, or name a file of them in `SSL_CERT_FILE`",
        why.unwrap_or_default()
    )
}

/// What the `certs.d` of one registry hold. A file there that cannot be used is an error: it was meant to be.
#[derive(Default)]
struct Own {
    authorities: Vec<CertificateDer<'static>>,
    identity: Option<CertifiedKey>,
}

impl Own {
    fn of(base: &Url, provider: &CryptoProvider) -> Result<Own, Error> {
        let mut own = Own::default();
        let Some(host) = base.host_str() else {
            return Ok(own);
        };
        let name = match base.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let system = ["/etc/docker/certs.d", "/etc/containers/certs.d"].map(PathBuf::from);
        let users = DIRECTORIES.get().map_or(&[][..], Vec::as_slice);
        for directory in users.iter().chain(&system) {
            own.add(&directory.join(&name), provider)?;
        }
        Ok(own)
    }

    fn add(&mut self, directory: &Path, provider: &CryptoProvider) -> Result<(), Error> {
        // Docker may have made its own for root alone, who then put nothing there for this user.
        let Ok(entries) = std::fs::read_dir(directory) else {
            return Ok(());
        };
        let mut files: Vec<PathBuf> = entries.flatten().map(|it| it.path()).collect();
        files.sort();
        for file in files {
            let read = match file.extension().and_then(OsStr::to_str) {
                Some("crt") => authorities(&file).map(|more| self.authorities.extend(more)),
                Some("cert") => identity(&file, provider).map(|it| {
                    self.identity.get_or_insert(it);
                }),
                Some("key") if !file.with_extension("cert").exists() => {
                    Err("its certificate, the `.cert` of that name, is not there".to_owned())
                }
                _ => Ok(()),
            };
            read.map_err(|why| failed(format!("`{}` cannot be used: {why}", file.display())))?;
        }
        Ok(())
    }
}

fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let authorities = certificates(file)?;
    let mut store = RootCertStore::empty();
    match authorities.iter().all(|it| store.add(it.clone()).is_ok()) {
        true => Ok(authorities),
        false => Err("what it holds is no X.509 certificate".to_owned()),
    }
}

fn identity(file: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let chain = certificates(file)?;
    let key = PrivateKeyDer::from_pem_file(file.with_extension("key")).map_err(|error| {
        let why = match error {
            pem::Error::NoItemsFound => "holds no private key in PEM, without a password".into(),
            error => error.to_string(),
        };
        format!("its key, the `.key` of that name: {why}")
    })?;
    CertifiedKey::from_der(chain, key, provider)
        .map_err(|error| format!("it and the `.key` of that name are no pair: {error}"))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if certificates.is_empty() => Err("it holds no certificate in PEM".into()),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(error.to_string()),
    }
}

#[derive(Debug)]
struct Judge {
    /// Without it, nothing but the `unchecked` host is believed.
    system: Option<Verifier>,
    provider: Arc<CryptoProvider>,
    /// Certificates that stand in the registry's own directory.
    named: Vec<CertificateDer<'static>>,
    /// The host whose certificate may be any.
    unchecked: Option<String>,
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.unchecked.as_deref() == Some(&*server_name.to_str()) {
            return Ok(ServerCertVerified::assertion());
        }
        let unknown = || rustls::Error::from(CertificateError::UnknownIssuer);
        let system = self.system.as_ref().ok_or_else(unknown)?;
        let judged =
            system.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        // The only thing wrong is that it may sign others, as `openssl req -x509` makes them; its dates were looked at
        // before.
        match &judged {
            Err(error) if is_own_authority(error) && self.names(end_entity) => {
                let certificate = ParsedCertificate::try_from(end_entity)?;
                verify_server_name(&certificate, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            _ => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = &self.provider.signature_verification_algorithms;
        known.supported_schemes()
    }
}

impl Judge {
    /// Whether somebody named this very certificate: in the registry's directory or among the system's.
    fn names(&self, certificate: &CertificateDer<'_>) -> bool {
        let system = || rustls_native_certs::load_native_certs().certs;
        self.named.iter().any(|it| it == certificate) || system().iter().any(|it| it == certificate)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn pem(label: &str, der: &[u8]) -> String {
        let body = BASE64_STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    }

    /// A certificate and its key.
    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["a.test".to_owned()]).unwrap();
        let certificate = certificate.self_signed(&key).unwrap();
        (
            pem("CERTIFICATE", certificate.der()),
            pem("PRIVATE KEY", &key.serialize_der()),
        )
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_what_is_wrong() {
        let provider = rustls::crypto::ring::default_provider();
        let ((certificate, key), (_, other)) = (pair(), pair());
        let rubbish = pem("CERTIFICATE", b"rubbish");
        let cut = "-----BEGIN CERTIFICATE-----\n";
        let (no_certificate, no_key) = ("holds no certificate in PEM", "holds no private key");
        for (files, wrong) in [
            (&[("a.crt", "")][..], Some(("a.crt", no_certificate))),
            (&[("a.crt", "rubbish")], Some(("a.crt", no_certificate))),
            (&[("a.crt", &key)], Some(("a.crt", no_certificate))),
            (&[("a.crt", cut)], Some(("a.crt", "section end"))),
            (&[("a.crt", &rubbish)], Some(("a.crt", "is no X.509"))),
            // A folder, as no permission keeps root out.
            (&[("a.crt/b", "")], Some(("a.crt", "directory"))),
            (&[("a.key", &key)], Some(("a.key", "is not there"))),
            (
                &[("a.cert", &certificate)],
                Some(("a.cert", "No such file")),
            ),
            (
                &[("a.cert", ""), ("a.key", &key)],
                Some(("a.cert", no_certificate)),
            ),
            (
                &[("a.cert", &certificate), ("a.key", "")],
                Some(("a.cert", no_key)),
            ),
            (
                &[("a.cert", &certificate), ("a.key", &other)],
                Some(("a.cert", "are no pair")),
            ),
            (&[("a.cert", &certificate), ("a.key", &key)], None),
            (&[("a.crt", &certificate), ("a.txt", "")], None),
        ] {
            let directory = tempfile::tempdir().unwrap();
            for (name, text) in files {
                let file = directory.path().join(name);
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, text).unwrap();
            }
            let mut own = Own::default();
            let said = own.add(directory.path(), &provider).err();
            let said = said.map(|error| error.to_string());
            match (&said, wrong) {
                (None, None) => {}
                (Some(said), Some((file, why))) => {
                    let named = format!("/{file}` cannot be used: ");
                    assert!(said.contains(&named) && said.contains(why), "{said}");
                }
                _ => panic!("{files:?}: {said:?}"),
            }
        }
    }

    #[test]
    fn only_the_host_itself_may_have_any_certificate() {
        let judge = Judge {
            system: None,
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            named: Vec::new(),
            unchecked: Some("a.test".to_owned()),
        };
        let judged = |host: &'static str| {
            let (certificate, now) = (CertificateDer::from(&b"any"[..]), UnixTime::now());
            let host = ServerName::try_from(host).unwrap();
            judge.verify_server_cert(&certificate, &[], &host, &[], now)
        };
        assert!(judged("a.test").is_ok());
        assert!(judged("token.a.test").is_err());
    }
}
