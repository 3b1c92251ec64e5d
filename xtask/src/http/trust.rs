//! Which servers are believed to be who they say.
//!
//! The system's certificates count, which `SSL_CERT_FILE` and `SSL_CERT_DIR` replace, and for each registry those of
//! its own directory, as Docker and Podman read it: `certs.d/HOST:PORT/*.crt` are CAs, `*.cert` with its `*.key` is who
//! we are. A certificate that signs itself is trusted by naming it, as OpenSSL does.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;
use url::Url;

use super::body::Error;
use super::tls_error::is_own_authority;

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

/// The TLS of a client for the server at `base`; `None` if this machine has no certificates at all.
pub(super) fn tls(base: &Url, verify: Verify) -> Result<Option<ClientConfig>, Error> {
    let own = Own::of(base)?;
    let provider = CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    // Adding one that signs itself makes it an authority, which is not enough: see `Judge`.
    let system = match Verifier::new_with_extra_roots(own.authorities.clone(), provider.clone()) {
        Ok(system) => Some(system),
        Err(_) if verify == Verify::Unchecked => None,
        Err(_) => return Ok(None),
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
    let wrong = |error: rustls::Error| Error::Broken {
        reason: error.to_string(),
        is_connect: true,
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(wrong)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(judge));
    Ok(Some(match own.identity {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).map_err(wrong)?,
        None => config.with_no_client_auth(),
    }))
}

/// What the `certs.d` of one registry hold.
#[derive(Default)]
struct Own {
    authorities: Vec<CertificateDer<'static>>,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl Own {
    fn of(base: &Url) -> Result<Own, Error> {
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
            own.add(&directory.join(&name))?;
        }
        Ok(own)
    }

    fn add(&mut self, directory: &Path) -> Result<(), Error> {
        let Ok(entries) = std::fs::read_dir(directory) else {
            return Ok(());
        };
        let mut files: Vec<PathBuf> = entries.flatten().map(|it| it.path()).collect();
        files.sort();
        for file in files {
            let unreadable = |error: &dyn std::fmt::Display| Error::Broken {
                reason: format!("`{}` is not readable: {error}", file.display()),
                is_connect: true,
            };
            let read = || -> Result<Vec<_>, _> { CertificateDer::pem_file_iter(&file)?.collect() };
            match file.extension().and_then(|it| it.to_str()) {
                Some("crt") => {
                    let read = read().map_err(|error| unreadable(&error))?;
                    self.authorities.extend(read);
                }
                Some("cert") if self.identity.is_none() => {
                    let chain = read().map_err(|error| unreadable(&error))?;
                    let key = PrivateKeyDer::from_pem_file(file.with_extension("key"));
                    let key = key.map_err(|error| unreadable(&format!("its `.key`: {error}")))?;
                    self.identity = Some((chain, key));
                }
                _ => {}
            }
        }
        Ok(())
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
