//! Names of destinations with parts of the source's name in them: `acme.azurecr.io/mirror/{repository}`. No network.
//!
//! | part | of `localhost:5000/team/app` |
//! |---|---|
//! | `{repository}` | `team/app` |
//! | `{name}` | `app` |
//! | `{host}` | `localhost:5000` where the registry stands, else `localhost-5000`: a path has no colon |
//! | `{tag}` | behind the colon alone: the source's tag, as without any |

use super::image_pattern::{ImagePattern, ImagePatternError};
use crate::exit::nearest;
use crate::foreign::Foreign;
use crate::oci::RepositoryName;

/// Why a template is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum TemplateError {
    #[error(
        "`{{{0}}}` is no part of a source's name; there are `{{repository}}`, `{{name}}`, `{{host}}` and `{{tag}}`{1}"
    )]
    Unknown(Foreign, String),
    #[error("a brace stands alone; hint: `{{repository}}`, `{{name}}` or `{{host}}`")]
    Brace,
    #[error(
        "`{{tag}}` can only be the whole tag, as in `acme.azurecr.io/{{repository}}:{{tag}}`; hint: leave it out, the tags are the source's"
    )]
    Tag,
    #[error("{error}; it is made of `{template}` and `{source_name}`")]
    Name {
        error: Box<ImagePatternError>,
        template: String,
        source_name: RepositoryName,
    },
}

const PARTS: [&str; 4] = ["repository", "name", "host", "tag"];

/// A piece of a template.
enum Piece<'t> {
    Text(&'t str),
    Part(&'t str),
}

/// Whether `text` is right, whatever the source is called.
pub(super) fn check(text: &str) -> Result<(), TemplateError> {
    pieces(without_tag(text)).map(drop)
}

/// The name of the destination for `source`.
pub(super) fn filled(text: &str, source: &RepositoryName) -> Result<String, TemplateError> {
    if !text.contains(['{', '}']) {
        return Ok(text.to_owned());
    }
    let mut name = String::new();
    for piece in pieces(without_tag(text))? {
        match piece {
            Piece::Text(text) => name += text,
            Piece::Part("repository") => name += source.path(),
            Piece::Part("name") => name += source.path().rsplit('/').next().unwrap_or_default(),
            // As it is written, which may be in capitals.
            Piece::Part(_) if name.is_empty() => {
                name += source.to_string().split('/').next().unwrap_or_default();
            }
            Piece::Part(_) => name += &source.host().replace(':', "-"),
        }
    }
    match ImagePattern::parse(&name) {
        Ok(_) => Ok(name),
        Err(error) => Err(TemplateError::Name {
            error: Box::new(error),
            template: text.to_owned(),
            source_name: source.clone(),
        }),
    }
}

/// The tags are the source's where none are named.
pub(super) fn without_tag(text: &str) -> &str {
    text.strip_suffix(":{tag}").unwrap_or(text)
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (part, after) = after.split_once('}').ok_or(TemplateError::Brace)?;
        match part {
            _ if before.contains('}') => return Err(TemplateError::Brace),
            "tag" => return Err(TemplateError::Tag),
            part if PARTS.contains(&part) => {}
            part => {
                let hint =
                    nearest(part, PARTS).map(|it| format!("; hint: did you mean `{{{it}}}`?"));
                let hint = hint.unwrap_or_default();
                return Err(TemplateError::Unknown(Foreign::new(part), hint));
            }
        }
        pieces.extend([Piece::Text(before), Piece::Part(part)]);
        rest = after;
    }
    if rest.contains('}') {
        return Err(TemplateError::Brace);
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(template: &str, source: &str) -> Result<String, String> {
        let filled = filled(template, &source.parse().unwrap());
        filled.map_err(|error| error.to_string())
    }

    #[test]
    fn parts_of_the_source_stand_in_the_destination() {
        for (template, source, name) in [
            (
                "a.io/mirror/{repository}",
                "nginx",
                "a.io/mirror/library/nginx",
            ),
            ("a.io/{name}", "quay.io/team/sub/app", "a.io/app"),
            (
                "a.io/{host}/{repository}",
                "quay.io/team/app",
                "a.io/quay.io/team/app",
            ),
            (
                "a.io/{host}/{name}-x:v1",
                "localhost:5000/app",
                "a.io/localhost-5000/app-x:v1",
            ),
            (
                "{host}/copy/{name}",
                "localhost:5000/team/app",
                "localhost:5000/copy/app",
            ),
            ("{host}/copy", "REGISTRY/app", "REGISTRY/copy"),
            (
                "a.io/{repository}:{tag}",
                "quay.io/team/app",
                "a.io/team/app",
            ),
            ("a.io:5000/app", "quay.io/x", "a.io:5000/app"),
        ] {
            assert_eq!(fill(template, source).as_deref(), Ok(name), "{template}");
        }
    }

    #[test]
    fn what_is_no_template_is_told() {
        for (template, said) in [
            (
                "a.io/{repo}",
                "`{repo}` is no part of a source's name; there are `{repository}`, `{name}`, `{host}` and `{tag}`",
            ),
            ("a.io/{nmae}", "hint: did you mean `{name}`?"),
            ("a.io/{}", "`{}` is no part"),
            ("a.io/{name", "a brace stands alone"),
            ("a.io/name}", "a brace stands alone"),
            ("a.io/x}{name}", "a brace stands alone"),
            ("a.io/{tag}", "`{tag}` can only be the whole tag"),
            ("a.io/{name}:x-{tag}", "`{tag}` can only be the whole tag"),
        ] {
            let error = fill(template, "quay.io/team/app").unwrap_err();
            assert!(error.contains(said), "{template}: {error}");
            assert!(check(template).is_err(), "{template}");
        }
        let error = fill("a.io/{host}/x", "[::1]:5000/app").unwrap_err();
        assert!(error.contains("is not a repository path"), "{error}");
        assert!(
            error.ends_with("it is made of `a.io/{host}/x` and `[::1]:5000/app`"),
            "{error}"
        );
    }
}
