//! Where requests of a registry may go, and where its login may.

use url::Url;

use crate::http::is_loopback;

/// Whether the registry at `base` may have `url` asked.
pub(super) fn is_allowed(url: &Url, base: &Url, insecure: bool) -> bool {
    match url.scheme() {
        "https" => true,
        // A registry elsewhere has no business on this machine.
        "http" => insecure || (is_loopback(url) && is_loopback(base)),
        _ => false,
    }
}

/// Whether the login for the registry at `base` may go to the token server that it names: over `https` to any, because
/// the registry was known by its certificate, or is believed without; over plain HTTP to its own host only; to this
/// machine only from there.
pub(super) fn may_get_login(realm: &Url, base: &Url) -> bool {
    let are_local = is_loopback(realm) && is_loopback(base);
    match (base.scheme(), realm.scheme()) {
        _ if is_loopback(realm) && !are_local => false,
        ("https", scheme) => scheme == "https",
        _ => are_local || base.host() == realm.host(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_or_by_configuration() {
        let url = |text: &str| Url::parse(text).unwrap();
        let here = url("http://localhost:5000/");
        let allowed = |text: &str, insecure| is_allowed(&url(text), &here, insecure);
        for url in [
            "https://ghcr.io/",
            "http://127.0.0.1:5000/",
            "http://127.8.8.8/",
            "http://[::1]:5000/",
            "http://localhost/",
        ] {
            assert!(allowed(url, false), "{url}");
        }
        for url in [
            "http://ghcr.io/",
            "http://10.0.0.1:5000/",
            "http://localhost.example/",
        ] {
            assert!(!allowed(url, false), "{url}");
            assert!(allowed(url, true), "{url}");
        }
        assert!(!allowed("ftp://localhost/", true));
        let elsewhere = url("https://ghcr.io/");
        assert!(!is_allowed(&url("http://127.0.0.1/"), &elsewhere, false));
    }

    #[test]
    fn a_login_goes_where_its_registry_is_or_may_send_it() {
        let url = |text: &str| Url::parse(text).unwrap();
        for (base, realm, may) in [
            ("https://r.io/", "https://auth.elsewhere.io/token", true),
            ("https://r.io/", "http://r.io/token", false),
            ("https://r.io/", "https://127.0.0.1/token", false),
            ("https://r.io/", "https://[::1]/token", false),
            ("http://r.io/", "http://r.io:5001/token", true),
            ("http://r.io/", "https://r.io/token", true),
            ("http://r.io/", "https://elsewhere.io/token", false),
            ("http://r.io/", "http://elsewhere.io/token", false),
            ("http://r.io/", "http://localhost/token", false),
            (
                "http://127.0.0.1:5000/",
                "http://127.0.0.1:5001/token",
                true,
            ),
            (
                "http://127.0.0.1:5000/",
                "http://localhost:5001/token",
                true,
            ),
            ("http://127.0.0.1:5000/", "https://elsewhere.io/", false),
        ] {
            assert_eq!(
                may_get_login(&url(realm), &url(base)),
                may,
                "{base} {realm}"
            );
        }
    }
}
