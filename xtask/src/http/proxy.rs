//! The proxies of the environment, by the rules of Go's `httpproxy`, which Docker and its kin follow; besides them
//! `ALL_PROXY` and SOCKS, which curl has.

use std::net::IpAddr;
use std::sync::OnceLock;

use ipnet::IpNet;
use reqwest::Proxy;
use url::{Host, Url};

use super::loopback::is_loopback;

static PROXIES: OnceLock<Proxies> = OnceLock::new();

/// Has every client that is made from now on ask these proxies. The first call counts.
pub fn use_proxies(proxies: Proxies) {
    let _ = PROXIES.set(proxies);
}

/// What the clients ask instead of the servers themselves.
pub(super) fn proxy() -> Option<Proxy> {
    let proxies = PROXIES.get()?;
    let chosen = |url: &Url| proxies.proxy_of(url).cloned();
    proxies.is_any().then(|| Proxy::custom(chosen))
}

/// The proxy that is asked for what is at `url`, as it may be shown.
pub(super) fn asked_for(url: &Url) -> Option<String> {
    let proxy = PROXIES.get()?.proxy_of(url)?;
    let port = proxy.port_or_known_default();
    let port = port.map_or_else(String::new, |port| format!(":{port}"));
    Some(format!("{}{port}", proxy.host_str()?))
}

/// Which proxy is asked for which server.
#[derive(Default)]
pub struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    direct: Vec<Direct>,
    /// What `NO_PROXY` says that cannot be meant.
    warnings: Vec<String>,
}

/// Servers that no proxy is asked for.
struct Direct {
    hosts: Hosts,
    port: Option<u16>,
}

enum Hosts {
    All,
    Network(IpNet),
    /// This domain and all below it.
    Domain(String),
    /// Only what is below it.
    Subdomains(String),
}

impl Proxies {
    /// Reads `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, or the same in lower case, by `variable`.
    ///
    /// # Errors
    /// A sentence that names a variable that is no address of a proxy, and not its value, which may hold a password.
    pub fn read<'v>(variable: impl Fn(&str) -> Option<&'v str>) -> Result<Proxies, String> {
        let value = |name: &'static str| {
            let small = name.to_ascii_lowercase();
            variable(name)
                .map(|value| (name.to_owned(), value))
                .or_else(|| Some((small.clone(), variable(&small)?)))
        };
        let proxy = |name| value(name).map(|(name, value)| address(&name, value));
        let all = || proxy("ALL_PROXY");
        let mut proxies = Proxies {
            http: proxy("HTTP_PROXY").or_else(all).transpose()?,
            https: proxy("HTTPS_PROXY").or_else(all).transpose()?,
            ..Proxies::default()
        };
        if let (true, Some((name, value))) = (proxies.is_any(), value("NO_PROXY")) {
            // Commas for Go, for curl blanks as well.
            let entries = value.split(|c: char| c == ',' || c.is_whitespace());
            for entry in entries.filter(|entry| !entry.is_empty()) {
                match Direct::read(entry) {
                    Some(direct) => proxies.direct.push(direct),
                    None => proxies.warnings.push(format!(
                        "`{name}`: `{entry}` is no host, domain or network, and is not read\n\
                         hint: `r.io`, `.r.io`, `r.io:5000`, `10.0.0.0/8`"
                    )),
                }
            }
        }
        Ok(proxies)
    }

    /// What cannot be meant, and stops nothing.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn is_any(&self) -> bool {
        self.http.is_some() || self.https.is_some()
    }

    /// The proxy to ask for what is at `url`; none for this machine.
    fn proxy_of(&self, url: &Url) -> Option<&Url> {
        let proxy = match url.scheme() {
            "https" => self.https.as_ref(),
            _ => self.http.as_ref(),
        };
        proxy.filter(|_| !is_loopback(url) && !self.direct.iter().any(|it| it.is_of(url)))
    }
}

fn address(name: &str, value: &str) -> Result<Url, String> {
    let value = value.trim();
    let value = match value.contains("://") {
        true => value.to_owned(),
        false => format!("http://{value}"),
    };
    const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];
    match Url::parse(&value) {
        Ok(url) if url.has_host() && SCHEMES.contains(&url.scheme()) => Ok(url),
        _ => Err(format!(
            "`{name}` is not the address of a proxy\nhint: `SCHEME://HOST:PORT`; the schemes are {}",
            SCHEMES.join(", ")
        )),
    }
}

impl Direct {
    /// `None` is an entry that nothing can be.
    fn read(entry: &str) -> Option<Direct> {
        let of = |hosts| Some(Direct { hosts, port: None });
        if entry == "*" {
            return of(Hosts::All);
        }
        if let Ok(network) = entry.parse() {
            return of(Hosts::Network(network));
        }
        // An IPv6 address has colons of its own.
        if let Ok(address) = entry.parse::<IpAddr>() {
            return of(Hosts::Network(address.into()));
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() => (host, port.parse().ok()),
            _ => (entry, None),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let below = host.strip_prefix('*').unwrap_or(&host).strip_prefix('.');
        let hosts = match (bare.parse::<IpAddr>(), below) {
            (Ok(address), _) => Hosts::Network(address.into()),
            (_, Some(domain)) => Hosts::Subdomains(domain.to_owned()),
            (_, None) => Hosts::Domain(host),
        };
        let is_name = match &hosts {
            Hosts::Domain(name) | Hosts::Subdomains(name) => is_name(name),
            _ => true,
        };
        is_name.then_some(Direct { hosts, port })
    }

    fn is_of(&self, url: &Url) -> bool {
        let is_host = match (&self.hosts, url.host()) {
            (Hosts::All, _) => true,
            (Hosts::Network(network), Some(Host::Ipv4(address))) => {
                network.contains(&IpAddr::from(address))
            }
            (Hosts::Network(network), Some(Host::Ipv6(address))) => {
                network.contains(&IpAddr::from(address))
            }
            (Hosts::Domain(domain), Some(Host::Domain(host))) => {
                host == domain || is_below(host, domain)
            }
            (Hosts::Subdomains(domain), Some(Host::Domain(host))) => is_below(host, domain),
            _ => false,
        };
        is_host
            && self
                .port
                .is_none_or(|port| url.port_or_known_default() == Some(port))
    }
}

/// Whether a server may have this name. A last part of digits is that of an address (WHATWG's URL standard).
fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        let mut letters = part.chars();
        !part.is_empty() && letters.all(|it| it.is_alphanumeric() || "-_".contains(it))
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.split('.').all(is_part) && !last.bytes().all(|it| it.is_ascii_digit())
}

fn is_below(host: &str, domain: &str) -> bool {
    let labels = host.strip_suffix(domain);
    labels.is_some_and(|it| it.len() > 1 && it.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &'static str)]) -> Result<Proxies, String> {
        Proxies::read(|name| {
            let mut variables = variables.iter();
            variables.find(|it| it.0 == name).map(|it| it.1)
        })
    }

    fn chosen(variables: &[(&str, &'static str)], url: &str) -> Option<String> {
        let proxies = read(variables).unwrap();
        proxies
            .proxy_of(&Url::parse(url).unwrap())
            .map(Url::to_string)
    }

    #[test]
    fn each_scheme_has_its_variable_and_all_proxy_is_for_the_rest() {
        let both = [
            ("HTTP_PROXY", "plain:1"),
            ("https_proxy", "socks5h://u:p@secure:2"),
        ];
        let all = [("HTTP_PROXY", "plain:1"), ("ALL_PROXY", "https://all")];
        for (variables, url, proxy) in [
            (&both, "http://r.io/", Some("http://plain:1/")),
            (&both, "https://r.io/", Some("socks5h://u:p@secure:2")),
            (&all, "https://r.io/", Some("https://all/")),
            (&all, "http://r.io/", Some("http://plain:1/")),
            (&all, "http://localhost:5000/", None),
            (&all, "https://127.0.0.1/", None),
            (&all, "http://[::1]:5000/", None),
        ] {
            assert_eq!(chosen(variables, url).as_deref(), proxy, "{url}");
        }
        assert_eq!(chosen(&[], "https://r.io/"), None);
    }

    #[test]
    fn no_proxy_knows_domains_networks_and_ports() {
        for (no_proxy, direct, asked) in [
            ("r.io", "https://r.io/", "https://other.io/"),
            ("r.io", "https://a.r.io:5000/", "https://ar.io/"),
            (" a.io , R.io.", "https://r.io/", "https://io/"),
            ("a.io r.io", "https://r.io/", "https://b.io/"),
            (".r.io", "https://a.r.io/", "https://r.io/"),
            ("*.r.io", "https://a.b.r.io/", "https://r.io/"),
            ("r.io:5000", "https://r.io:5000/", "https://r.io/"),
            ("r.io:443", "https://r.io/", "http://r.io/"),
            ("10.0.0.0/8", "http://10.1.2.3:5000/", "http://11.1.2.3/"),
            ("10.1.2.3", "http://10.1.2.3:5000/", "http://10.1.2.4/"),
            ("10.1.2.3:80", "http://10.1.2.3/", "http://10.1.2.3:5000/"),
            ("fd00::/8", "http://[fd12::1]:5000/", "http://[fe80::1]/"),
            ("fd12::1", "http://[fd12::1]:5000/", "http://[fd12::2]/"),
            ("[fd12::1]", "http://[fd12::1]/", "http://[fd12::2]/"),
            (
                "[fd12::1]:5000",
                "http://[fd12::1]:5000/",
                "http://[fd12::1]/",
            ),
        ] {
            let variables = [("ALL_PROXY", "p:1"), ("NO_PROXY", no_proxy)];
            assert_eq!(chosen(&variables, direct), None, "{no_proxy}: {direct}");
            assert!(chosen(&variables, asked).is_some(), "{no_proxy}: {asked}");
        }
        let variables = [("ALL_PROXY", "p:1"), ("no_proxy", "*")];
        assert_eq!(chosen(&variables, "https://r.io/"), None);
    }

    #[test]
    fn what_no_proxy_cannot_mean_is_told() {
        for wrong in [
            "10.0.0.0/33",
            "10.0.0.300",
            "10.*",
            "fd00::/129",
            "[fd00::1",
            "r.io:x",
            "https://r.io",
            "a..io",
            "<local>",
        ] {
            let value: &'static str = format!("r.io,{wrong}").leak();
            let proxies = read(&[("HTTP_PROXY", "p:1"), ("no_proxy", value)]).unwrap();
            let [warning] = proxies.warnings() else {
                panic!("{wrong}: {:?}", proxies.warnings());
            };
            assert!(warning.starts_with(&format!("`no_proxy`: `{wrong}` is no")));
            assert_eq!(proxies.direct.len(), 1, "{wrong}");
        }
        // Nobody asks a proxy.
        let none = read(&[("NO_PROXY", "10.0.0.0/33")]).unwrap();
        assert!(none.warnings().is_empty());
    }

    #[test]
    fn what_is_no_proxy_is_named_without_its_value() {
        for value in [
            "ftp://u:geheim@p",
            "http://",
            "http://u:geheim@p:99999",
            "http:// p/",
        ] {
            let error = read(&[("HTTPS_PROXY", value)]).err().expect(value);
            assert!(error.starts_with("`HTTPS_PROXY` is not"), "{error}");
            assert!(!error.contains("geheim"), "{error}");
        }
    }
}
