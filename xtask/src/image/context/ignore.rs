//! The rules of a `.dockerignore` file.
//!
//! Patterns mean what they mean to Docker (<https://docs.docker.com/build/concepts/context/#dockerignore-files> and,
//! where that page is silent, moby/patternmatcher's `MatchesUsingParentResults`): they are relative to the context's
//! root, match whole names, and cover everything below a directory that they match; the last rule that applies decides.

use crate::image::glob::{DoubleStar, Token, compile, matches};

/// An ordered list of rules.
#[derive(Debug, Default)]
pub(super) struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    /// `!pattern`: includes what it matches.
    exception: bool,
    pattern: Vec<Token>,
}

impl Ignore {
    /// Reads a `.dockerignore` file.
    ///
    /// # Errors
    /// A sentence that names the line and what is wrong with its pattern.
    pub(super) fn parse(text: &str) -> Result<Ignore, String> {
        let mut ignore = Ignore::default();
        for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            // Only at the very start is a `#` a comment.
            let line = if line.starts_with('#') {
                ""
            } else {
                line.trim()
            };
            if line.is_empty() {
                continue;
            }
            let (exception, pattern) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            if pattern.is_empty() {
                return Err(format!("line {}: `{line}` is not a pattern", number + 1));
            }
            let pattern = compile(&cleaned(pattern), DoubleStar::Directories)
                .map_err(|why| format!("line {}: `{line}` {why}", number + 1))?;
            ignore.rules.push(Rule { exception, pattern });
        }
        Ok(ignore)
    }

    /// Includes the file at `path`, whatever the rules so far say.
    pub(super) fn keep(&mut self, path: &str) {
        let pattern = path.chars().map(Token::Char).collect();
        self.rules.push(Rule {
            exception: true,
            pattern,
        });
    }

    /// Whether the file or directory at `path` is excluded. `path` is relative and has slashes.
    pub(super) fn excludes(&self, path: &str) -> bool {
        let path: Vec<char> = path.chars().collect();
        let ends = (0..path.len()).filter(|at| path[*at] == '/');
        let mut excluded = false;
        // The rules that hold for the directory above hold for what is in it.
        let mut holds = vec![false; self.rules.len()];
        for end in ends.chain([path.len()]) {
            excluded = false;
            for (rule, holds) in self.rules.iter().zip(&mut holds) {
                // As in moby, one that would change nothing is not tried, and then holds for nothing below either.
                let is_tried = rule.exception == excluded;
                *holds = *holds || is_tried && matches(&rule.pattern, &path[..end]);
                if *holds {
                    excluded = !rule.exception;
                }
            }
        }
        excluded
    }

    /// Whether something below the excluded directory `path` may be included.
    pub(super) fn may_keep_below(&self, path: &str) -> bool {
        self.rules
            .iter()
            .any(|rule| rule.exception && rule.reaches_below(path))
    }
}

impl Rule {
    /// Whether the pattern may match something below `directory`: they are equal as far as the pattern is literal.
    fn reaches_below(&self, directory: &str) -> bool {
        let mut own = self.pattern.iter();
        for c in directory.chars().chain(['/']) {
            match own.next() {
                Some(Token::Char(own)) if *own == c => {}
                Some(Token::Char(_)) | None => return false,
                Some(_) => return true,
            }
        }
        true
    }
}

/// A pattern as Go's `filepath.Clean` leaves it, without the slash in front: `/a//b/../c/` is `a/c`.
fn cleaned(pattern: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in pattern.split('/') {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => {
                names.pop();
            }
            // Above the root there is nothing.
            ".." if pattern.starts_with('/') => {}
            name => names.push(name),
        }
    }
    names.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluded(rules: &str, path: &str) -> bool {
        Ignore::parse(rules).unwrap().excludes(path)
    }

    #[test]
    fn patterns_match_as_dockers_do() {
        for (pattern, path, expected) in [
            ("*", "file.go", true),
            ("*.go", "file.go", true),
            ("*.go", "dir/file.go", false),
            ("*/temp*", "somedir/temporary.txt", true),
            ("*/temp*", "somedir/temp/deep/file", true),
            ("*/*/temp*", "somedir/subdir/temporary.txt", true),
            ("*/temp*", "temp", false),
            ("temp?", "tempa", true),
            ("temp?", "temp", false),
            ("temp?x", "temp/x", false),
            ("docs", "docs/README.md", true),
            ("docs/", "docs/README.md", true),
            ("/docs", "docs/README.md", true),
            ("docs", "my/docs", false),
            ("a//b/./c/../d", "a/b/d", true),
            (".", "anything", false),
            ("../x", "x", false),
            ("**", "dir/file", true),
            ("**/", "dir/file", true),
            ("**/*.go", "file.go", true),
            ("**/*.go", "a/b/file.go", true),
            ("**/dir2/*", "dir/dir2/file", true),
            ("**/**/*.txt", "file.txt", true),
            ("**/file", "xfile", false),
            ("**b", "lib", true),
            ("**b", "a/b", true),
            ("**b", "a/b/c", true),
            ("**b", "bc", false),
            ("**lib/x", "a/mylib/x", true),
            ("**b*", "lib", false),
            ("**b*", "a/bc", true),
            ("a**b", "axb", false),
            ("a**b", "ax/b", true),
            ("a**/*.txt", "a/dir/dir/file.txt", true),
            ("abc/**", "abc", false),
            ("abc/**", "abc/def/ghi", true),
            ("abc/**/z", "abc/z", true),
            ("abc/**/z", "abc/x/y/z", true),
            ("a[b-d]e", "ace", true),
            ("a[b-d]e", "aae", false),
            ("a[^b-d]e", "aze", true),
            ("a[^b-d]e", "ace", false),
            (r"a[\]]e", "a]e", true),
            (r"a\*b", "a*b", true),
            (r"a\*b", "axb", false),
            ("a(b)|c+.$", "a(b)|c+.$", true),
            (".*", ".foo", true),
            (".*", "foo", false),
            ("[a-ζ]*", "α", true),
        ] {
            assert_eq!(excluded(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn the_products_own_file_leaves_out_what_git_and_macos_put_into_folders() {
        let rules = include_str!("../../../../docker/.dockerignore");
        for (path, expected) in [
            (".DS_Store", true),
            ("folders/app/data/.DS_Store", true),
            ("folders/app/data/.gitkeep", true),
            ("lib-amd64/.DS_Store", true),
            ("entrypoint.sh", false),
            ("lib-amd64/app", false),
        ] {
            assert_eq!(excluded(rules, path), expected, "{path}");
        }
    }

    #[test]
    fn the_last_rule_that_applies_decides() {
        for (rules, path, expected) in [
            ("*.md\n!README.md", "README.md", false),
            (
                "*.md\n!README*.md\nREADME-secret.md",
                "README-secret.md",
                true,
            ),
            (
                "*.md\nREADME-secret.md\n!README*.md",
                "README-secret.md",
                false,
            ),
            ("!file.go\n*.go", "file.go", true),
            ("docs\n!docs/README.md", "docs/README.md", false),
            ("docs\n!docs/README.md", "docs/other.md", true),
            // `b/c` was not tried where everything was excluded already.
            ("*\n!b/c/a.md\nb/c", "b/c/a.md", false),
            ("*\n!b\nb/c", "b/c/a.md", true),
            ("**\n!util/docker/web", "util/docker/web/foo", false),
            (
                "**\n!util/docker/web\nutil/docker/web/foo",
                "util/docker/web/foo",
                true,
            ),
        ] {
            assert_eq!(excluded(rules, path), expected, "{rules:?} {path}");
        }
    }

    #[test]
    fn comments_blank_lines_and_spaces_are_ignored() {
        let rules = "\u{feff}# comment\r\n\r\n   \n  bin  \n  ! bin/keep \n";
        assert!(excluded(rules, "bin/x"));
        assert!(!excluded(rules, "bin/keep"));
        assert!(!excluded(rules, "# comment"));
        assert!(
            excluded(" #x", "#x"),
            "a comment starts at the line's start"
        );
    }

    #[test]
    fn what_stars_can_stand_for_is_not_tried_in_all_combinations() {
        let pattern = format!("{}b", "*a".repeat(40));
        assert!(!excluded(&pattern, &"a".repeat(200)));
        let pattern = format!("{}b", "**/a/".repeat(40));
        assert!(!excluded(&pattern, &"a/".repeat(200)));
    }

    #[test]
    fn a_malformed_pattern_is_named_with_its_line() {
        for rules in ["ok\n[a", "ok\n!", "ok\nx\\", "ok\n[]", "ok\n[a-"] {
            let error = Ignore::parse(rules).unwrap_err();
            assert!(error.starts_with("line 2: `"), "{error}");
        }
    }

    #[test]
    fn a_kept_path_is_literal() {
        let mut ignore = Ignore::parse("**").unwrap();
        ignore.keep("docker/Dockerfile[1]");
        assert!(!ignore.excludes("docker/Dockerfile[1]"));
        assert!(ignore.excludes("docker/Dockerfile1"));
    }

    #[test]
    fn a_directory_is_searched_only_for_an_exception() {
        let searched = |rules: &str, path| Ignore::parse(rules).unwrap().may_keep_below(path);
        assert!(!searched("a", "a"));
        assert!(searched("a\n!a/b/c", "a"));
        assert!(searched("a\n!a/b/c", "a/b"));
        assert!(!searched("a\n!a/b/c", "a/d"));
        assert!(!searched("a\n!ab", "a"));
        assert!(searched("a\n!**/x", "a/d"));
    }
}
