//! `WWW-Authenticate`: how to sign in. Any text parses; what is not understood is ignored.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use url::Url;

use crate::http;
use crate::oci::RepositoryName;

/// One way in (RFC 9110, 11.6.1; distribution specification, token authentication).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    Bearer { realm: Url, service: Option<String> },
}

impl Challenge {
    /// The best challenge of a response: Bearer before Basic, which registries that offer both prefer.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Challenge> {
        let values = headers.get_all(WWW_AUTHENTICATE).iter();
        // The realm of Basic may be a sentence in any language.
        let challenges: Vec<RawChallenge> = values
            .flat_map(|value| challenges(&String::from_utf8_lossy(value.as_bytes())))
            .collect();
        challenges
            .iter()
            .find_map(RawChallenge::bearer)
            .or_else(|| {
                let basic =
                    |challenge: &RawChallenge| challenge.scheme.eq_ignore_ascii_case("basic");
                challenges.iter().any(basic).then_some(Challenge::Basic)
            })
    }
}

/// The repository that the host asks a token for, if a challenge of Bearer names one. Other scopes are not understood,
/// such as `aws` (SgtSilvio/gradle-oci#141).
pub(super) fn repository(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter();
    let mut challenges =
        values.flat_map(|value| challenges(&String::from_utf8_lossy(value.as_bytes())));
    let bearer = challenges.find(|it| it.bearer().is_some())?;
    let mut scopes = bearer
        .parameters
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("scope"));
    let scope = scopes.next()?.1.split(' ').next()?;
    let (name, _actions) = scope.strip_prefix("repository:")?.rsplit_once(':')?;
    RepositoryName::new("host.invalid", name)
        .ok()
        .map(|it| it.path().to_owned())
}

/// A scheme and its parameters, as written.
struct RawChallenge {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl RawChallenge {
    fn bearer(&self) -> Option<Challenge> {
        let parameter = |wanted: &str| {
            let mut all = self.parameters.iter();
            all.find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.clone())
        };
        if !self.scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let realm = Url::parse(&parameter("realm")?).ok()?;
        if !matches!(realm.scheme(), "http" | "https") {
            return None;
        }
        Some(Challenge::Bearer {
            realm,
            service: parameter("service"),
        })
    }
}

/// Splits one header value: a word followed by `=` is a parameter, any other begins the next scheme.
fn challenges(header: &str) -> Vec<RawChallenge> {
    let mut challenges: Vec<RawChallenge> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',', '=']);
        if rest.is_empty() {
            return challenges;
        }
        let (word, after) = rest.split_at(rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len()));
        rest = after;
        match (challenges.last_mut(), after.trim_start().strip_prefix('=')) {
            (Some(challenge), Some(after)) => {
                let (value, after) = http::parameter_value(after, &[' ', '\t', ',']);
                challenge.parameters.push((word.to_owned(), value));
                rest = after;
            }
            _ => challenges.push(RawChallenge {
                scheme: word.to_owned(),
                parameters: Vec::new(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(values: &[&str]) -> Option<Challenge> {
        let headers = values
            .iter()
            .map(|value| (WWW_AUTHENTICATE, value.parse().unwrap()));
        let mut map = HeaderMap::new();
        headers.for_each(|(name, value)| {
            map.append(name, value);
        });
        Challenge::of(&map)
    }

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer {
            realm: Url::parse(realm).unwrap(),
            service: service.map(str::to_owned),
        })
    }

    #[test]
    fn the_usual_challenge() {
        let docker = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        assert_eq!(
            parse(&[docker]),
            bearer("https://auth.docker.io/token", Some("registry.docker.io"))
        );
        assert_eq!(
            parse(&[r#"Basic realm="Registry Realm""#]),
            Some(Challenge::Basic)
        );
        assert_eq!(parse(&["Basic realm=\"登录\""]), Some(Challenge::Basic));
    }

    #[test]
    fn spellings_that_registries_use() {
        let expected = bearer("https://r/t", Some("a, b"));
        for header in [
            r#"bearer realm="https://r/t", service="a, b""#,
            r#"BEARER  service="a, b" , realm=https://r/t"#,
            r#"Bearer realm = "https://r/t",service="a\, b""#,
            r#"Basic realm="x", Bearer realm="https://r/t",service="a, b""#,
        ] {
            assert_eq!(parse(&[header]), expected, "{header}");
        }
        assert_eq!(
            parse(&["Basic realm=x", r#"Bearer realm="https://r/t""#]),
            bearer("https://r/t", None)
        );
    }

    #[test]
    fn a_quote_that_does_not_end_takes_the_rest() {
        let header = r#"Bearer realm="https://r/t"#;
        assert_eq!(parse(&[header]), bearer("https://r/t", None));
    }

    #[test]
    fn nonsense_is_no_challenge() {
        for header in [
            "",
            "=",
            ",,",
            "Bearer",
            "Bearer realm=nowhere",
            "Bearer realm=\"file://0.0.19.135/token\"",
            "Bearer realm=\"nowhere",
            "Bearer service=\"https://r\"",
            "Negotiate YWJj==",
        ] {
            assert_eq!(parse(&[header]), None, "{header}");
        }
    }
}
