//! The patterns of `${NAME#pattern}`, `${NAME%pattern}` and `${NAME/pattern/text}`: `*`, `?`, and nothing else.

use super::budget::Budget;

#[derive(Clone, Copy, PartialEq)]
enum Token {
    Many,
    One,
    Char(char),
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Length {
    Shortest,
    Longest,
}

pub(super) struct Pattern(Vec<Token>);

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut chars = text.chars();
        let mut tokens = Vec::new();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => Token::Many,
                '?' => Token::One,
                // `/` and `}` are escaped for the sake of the `${}` around them.
                '\\' => match chars.next() {
                    Some(c @ ('*' | '?' | '\\' | '}' | '/')) => Token::Char(c),
                    _ => {
                        return Err(format!(
                            "the pattern `{text}` has a `\\` that escapes nothing"
                        ));
                    }
                },
                c => Token::Char(c),
            });
        }
        Ok(Pattern(tokens))
    }

    pub(super) fn trim_start(
        &self,
        value: &str,
        length: Length,
        budget: &mut Budget,
    ) -> Result<String, String> {
        let end = prefix(&self.0, value.chars(), length, budget)?;
        Ok(value.chars().skip(end.unwrap_or(0)).collect())
    }

    pub(super) fn trim_end(
        &self,
        value: &str,
        length: Length,
        budget: &mut Budget,
    ) -> Result<String, String> {
        let backwards: Vec<Token> = self.0.iter().rev().copied().collect();
        let end = prefix(&backwards, value.chars().rev(), length, budget)?;
        let kept = value.chars().count() - end.unwrap_or(0);
        Ok(value.chars().take(kept).collect())
    }

    /// The first match becomes `by`, or all of them do; a match is as long as it can be.
    pub(super) fn replace(
        &self,
        value: &str,
        by: &str,
        all: bool,
        budget: &mut Budget,
    ) -> Result<String, String> {
        let chars: Vec<char> = value.chars().collect();
        let mut out = String::new();
        let (mut at, mut copied) = (0, 0);
        while at <= chars.len() {
            let rest = chars[at..].iter().copied();
            let Some(length) = prefix(&self.0, rest, Length::Longest, budget)? else {
                at += 1;
                continue;
            };
            let end = at + length;
            // An empty match right after a match is none, as Go's regexp has it.
            if length > 0 || at == 0 || at > copied {
                out.extend(&chars[copied..at]);
                out.push_str(by);
                budget.spend(by.len())?;
                copied = end;
            }
            if !all {
                break;
            }
            at = end.max(at + 1);
        }
        out.extend(&chars[copied..]);
        Ok(out)
    }
}

/// How many characters at the beginning of `text` match. All alternatives advance at once, so no pattern is slow.
fn prefix(
    pattern: &[Token],
    text: impl Iterator<Item = char>,
    length: Length,
    budget: &mut Budget,
) -> Result<Option<usize>, String> {
    let end = pattern.len();
    let mut active = vec![false; end + 1];
    activate(pattern, &mut active, 0);
    let mut found = active[end].then_some(0);
    for (index, c) in text.enumerate() {
        if !active.contains(&true) || (found.is_some() && length == Length::Shortest) {
            break;
        }
        budget.spend(end + 1)?;
        let mut next = vec![false; end + 1];
        for at in (0..end).filter(|&at| active[at]) {
            match pattern[at] {
                Token::Many if c != '\n' => activate(pattern, &mut next, at),
                Token::One if c != '\n' => activate(pattern, &mut next, at + 1),
                Token::Char(wanted) if wanted == c => activate(pattern, &mut next, at + 1),
                _ => {}
            }
        }
        active = next;
        if active[end] {
            found = Some(index + 1);
        }
    }
    Ok(found)
}

/// `at`, and what follows it where a `*` matches nothing.
fn activate(pattern: &[Token], active: &mut [bool], mut at: usize) {
    while !active[at] {
        active[at] = true;
        if pattern.get(at) == Some(&Token::Many) {
            at += 1;
        }
    }
}
