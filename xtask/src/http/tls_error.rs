//! What is wrong with a server's TLS, in words, and what to do about it.

use std::error::Error;

use rustls::{AlertDescription, CertificateError};

/// The error of TLS that `cause` is, or wraps: an `io::Error` does not give its own cause as its source.
pub(super) fn find<'e>(cause: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let wrapped = cause.downcast_ref::<std::io::Error>();
    match wrapped.and_then(|wrapped| wrapped.get_ref()) {
        Some(inner) => find(inner),
        None => cause.downcast_ref(),
    }
}

/// Whether a server has a certificate that may sign others, and signs itself, as `openssl req -x509` makes them.
pub(super) fn is_own_authority(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(CertificateError::Other(it))
        if it.to_string().contains("CaUsedAsEndEntity"))
}

/// What to do at a server that takes nobody without a certificate.
pub(super) const CLIENT_CERTIFICATE: &str = "hint: if it knows its clients by certificates, put yours into \
     `/etc/docker/certs.d/HOST:PORT/client.cert` and `client.key`";

/// The error, and how the server can be trusted.
pub(super) fn explained(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(problem) => certificate(problem, error),
        rustls::Error::InvalidMessage(_) => {
            "what answers there is not TLS; hint: is the port right? `sync` reaches a registry without TLS by \
             `insecure: true`"
                .to_owned()
        }
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::HandshakeFailure
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied,
        ) => format!("{error}; {CLIENT_CERTIFICATE}"),
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
        | rustls::Error::PeerIncompatible(_) => {
            format!("{error}; hint: TLS 1.2 and 1.3 are spoken here, nothing older")
        }
        _ => format!("{error}; hint: `openssl s_client -connect HOST:PORT` shows more"),
    }
}

/// What is wrong with the system's certificates, or those that are named instead of them.
pub(super) fn unread() -> Option<String> {
    let errors = rustls_native_certs::load_native_certs().errors;
    errors.first().map(ToString::to_string)
}

fn certificate(problem: &CertificateError, error: &rustls::Error) -> String {
    let what = match problem {
        CertificateError::UnknownIssuer => "its certificate is signed by nobody trusted here",
        _ if is_own_authority(error) => "its certificate is signed by itself",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            return "its certificate has expired; hint: is the clock right?".to_owned();
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            return "its certificate is not valid yet; hint: is the clock right?".to_owned();
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            return "its certificate is for another name; hint: use a name that it was made for"
                .to_owned();
        }
        _ => &error.to_string(),
    };
    // Those that are named and cannot be read do not count, which would be a riddle.
    let unread = unread().map(|why| format!(" ({why})"));
    format!(
        "{what}{}; hint: to trust it, put it or its CA into `/etc/docker/certs.d/HOST:PORT/ca.crt`, or name the file \
         in `SSL_CERT_FILE`",
        unread.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_of_tls_says_what_to_do() {
        use rustls::{Error, InvalidMessage, PeerIncompatible};
        for (error, said) in [
            (
                Error::InvalidCertificate(CertificateError::UnknownIssuer),
                "certs.d/HOST:PORT/ca.crt",
            ),
            (
                Error::InvalidCertificate(CertificateError::Expired),
                "clock",
            ),
            (
                Error::InvalidCertificate(CertificateError::NotValidYet),
                "clock",
            ),
            (
                Error::InvalidCertificate(CertificateError::NotValidForName),
                "another name",
            ),
            (
                Error::InvalidCertificate(CertificateError::Revoked),
                "SSL_CERT_FILE",
            ),
            (
                Error::InvalidMessage(InvalidMessage::InvalidContentType),
                "insecure: true",
            ),
            (
                Error::AlertReceived(AlertDescription::CertificateRequired),
                "client.cert",
            ),
            (
                Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13),
                "TLS 1.2",
            ),
            (Error::HandshakeNotComplete, "openssl s_client"),
        ] {
            let text = explained(&error);
            assert!(text.contains("; hint: ") && text.contains(said), "{text}");
        }
    }
}
