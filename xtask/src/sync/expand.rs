//! `${NAME}` in a value becomes the variable's value, `${NAME:-text}` that or the text, as in a shell.
//!
//! Any other `$` is itself (robot accounts are called `robot$name`), except that a value which is `$NAME` as a whole is
//! the variable if that is set, and that `$NAME` in the name of a destination always is. A variable's value is not
//! expanded again, and errors name variables, never values.

/// Looks a variable up; an empty one is `None`.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Why a value cannot be expanded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExpandError {
    #[error("the variable `{0}` is not set")]
    Unset(String),
    #[error(
        "GitHub replaces `${{{{ … }}}}` only inside a workflow file; hint: write `${{{0}}}` here and set `{0}` in the `env:` of the step"
    )]
    Github(String),
    #[error(
        "`${{` begins the name of a variable; hint: `${{NAME}}`, and put a value that holds `${{` into a variable"
    )]
    Malformed,
}

/// The value of a text in a file. One that is `$NAME` as a whole is the variable if that is set, as image-syncer has
/// it.
pub(super) fn expand(text: &str, lookup: Lookup) -> Result<String, ExpandError> {
    let whole = text.strip_prefix('$').filter(|name| is_name(name));
    match whole.and_then(lookup) {
        Some(value) => Ok(value),
        None => braced(text, lookup),
    }
}

/// The same where no `$` stands for itself: `$NAME` anywhere is the variable, which must be set.
pub(super) fn expand_name(text: &str, lookup: Lookup) -> Result<String, ExpandError> {
    let mut parts = text.split('$');
    let mut braces = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let (name, rest) = part.split_at(end.unwrap_or(part.len()));
        match is_name(name) {
            true => braces += &format!("${{{name}}}{rest}"),
            false => braces += &format!("${part}"),
        }
    }
    braced(&braces, lookup)
}

fn braced(text: &str, lookup: Lookup) -> Result<String, ExpandError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        // An article about image-syncer prints `${{` with a line break in it.
        if after.trim_start().starts_with('{') {
            return Err(ExpandError::Github(github_name(after)));
        }
        let (inside, after) = after.split_once('}').ok_or(ExpandError::Malformed)?;
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default.to_owned())),
            None => (inside, None),
        };
        if !is_name(name) {
            return Err(ExpandError::Malformed);
        }
        out += &lookup(name)
            .or(default)
            .ok_or_else(|| ExpandError::Unset(name.to_owned()))?;
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `NAME` of `{ secrets.NAME }}`.
fn github_name(text: &str) -> String {
    let inside = text.split('}').next().unwrap_or_default();
    let name = inside.rsplit('.').next().unwrap_or_default().trim();
    if is_name(name) { name } else { "NAME" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, ExpandError> {
        let lookup = |name: &str| match name {
            "USER_1" => Some("robot$me".to_owned()),
            "NESTED" => Some("${USER_1}".to_owned()),
            _ => None,
        };
        expand(text, &lookup)
    }

    #[test]
    fn variables_are_replaced_and_a_bare_dollar_is_kept() {
        for (text, value) in [
            ("a/${USER_1}:x", "a/robot$me:x"),
            ("robot$name", "robot$name"),
            ("$USER_1", "robot$me"),
            ("$oauthtoken", "$oauthtoken"),
            ("$USER_1/x", "$USER_1/x"),
            ("$NESTED", "${USER_1}"),
            ("p$$}{$", "p$$}{$"),
            ("${NESTED}", "${USER_1}"),
            ("/v1.*$/", "/v1.*$/"),
            ("${USER_1:-other}", "robot$me"),
            ("${NO:-acme.io}/${NO:-a:-$b}:x", "acme.io/a:-$b:x"),
            ("a${NO:-}", "a"),
        ] {
            assert_eq!(expanded(text).unwrap(), value);
        }
    }

    #[test]
    fn what_is_not_a_set_variable_is_an_error() {
        assert_eq!(expanded("${NO}"), Err(ExpandError::Unset("NO".to_owned())));
        for text in ["${", "${}", "${1A}", "${A B}", "a${b", "${:-a}", "${NO:-a"] {
            assert_eq!(expanded(text), Err(ExpandError::Malformed), "{text}");
        }
    }

    #[test]
    fn names_take_variables_without_braces() {
        let lookup = |name: &str| (name == "REG").then(|| "r.io$REG".to_owned());
        for (text, value) in [
            ("$REG/x", "r.io$REG/x"),
            ("${REG}/x:$REG", "r.io$REG/x:r.io$REG"),
            ("a$/${NO:-b}", "a$/b"),
        ] {
            assert_eq!(expand_name(text, &lookup).unwrap(), value);
        }
        let unset = ExpandError::Unset("REGX".to_owned());
        assert_eq!(expand_name("$REGX/x", &lookup), Err(unset));
    }

    #[test]
    fn an_expression_of_github_explains_itself() {
        for text in [
            "${{ secrets.AZURE_ACR_PASSWORD }}",
            "${{secrets.AZURE_ACR_PASSWORD}}",
            "${ { secrets.AZURE_ACR_PASSWORD }}",
        ] {
            let error = expanded(text).unwrap_err();
            assert_eq!(error, ExpandError::Github("AZURE_ACR_PASSWORD".to_owned()));
            let sentence = error.to_string();
            assert!(
                sentence.contains("write `${AZURE_ACR_PASSWORD}` here"),
                "{sentence}"
            );
        }
    }
}
