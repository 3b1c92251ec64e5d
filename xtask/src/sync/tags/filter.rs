//! Which tags of a repository are meant.
//!
//! The order of the patterns does not matter. A *plain name* is always chosen, whether it is listed or not: the copy
//! reports that it is absent. *Globs and regular expressions* choose among the listed tags; where there are none of
//! them, `semver:`, `version:`, `newer:` and `newest:` choose among all, and so does a filter of exclusions only. Then
//! each `semver:` and `version:` narrows that choice, each `!` takes away (plain names too), `newer:` keeps what was
//! created lately, and `newest:` the newest versions of what is left (both besides the plain names). What is no version
//! never counts as new.

use std::collections::HashSet;

use super::age::Age;
use super::newer::{Dates, Span};
use super::pattern::{Matcher, PatternError};
use crate::oci::{Digest, Reference, Tag};

/// What a rule takes from its source.
#[derive(Clone, Debug)]
pub enum Select {
    Tags(TagFilter),
    Digest(Digest),
}

impl Select {
    /// The one image that is meant: by its digest, else by its tag.
    pub(in crate::sync) fn image(reference: &Reference) -> Select {
        match &reference.digest {
            Some(digest) => Select::Digest(digest.clone()),
            None => Select::Tags(TagFilter::names(vec![reference.tag_or_latest()])),
        }
    }

    /// The tags, if they are named one by one.
    pub(in crate::sync) fn names(&self) -> &[Tag] {
        match self {
            Select::Tags(filter) if !filter.needs_listing() && filter.none_of.is_empty() => {
                &filter.names
            }
            _ => &[],
        }
    }
}

/// A set of patterns; the empty one is all tags.
#[derive(Clone, Debug, Default)]
pub struct TagFilter {
    names: Vec<Tag>,
    any_of: Vec<Matcher>,
    all_of: Vec<Matcher>,
    none_of: Vec<Matcher>,
    newer: Option<Span>,
    newest: Option<usize>,
}

const NEWER: &str = "newer:";
const NEWEST: &str = "newest:";

impl TagFilter {
    /// All tags.
    pub fn all() -> TagFilter {
        TagFilter::default()
    }

    /// These tags and no others.
    pub fn names(names: Vec<Tag>) -> TagFilter {
        TagFilter {
            names,
            ..TagFilter::default()
        }
    }

    /// Adds a pattern: `v*`, `1.0`, `/regex/`, `semver:>=1.2`, `version:>=1.2`, `newer:90d`, `newest:10`, or `!`
    /// and one of the first five.
    pub fn add(&mut self, pattern: &str) -> Result<(), PatternError> {
        if let Some(excluded) = pattern.strip_prefix('!') {
            for word in [NEWER, NEWEST] {
                if excluded.starts_with(word) {
                    return Err(PatternError::NoOpposite(word));
                }
            }
            self.none_of.push(excluded.parse()?);
        } else if let Some(span) = pattern.strip_prefix(NEWER) {
            if self.newer.replace(span.parse()?).is_some() {
                return Err(PatternError::Twice(NEWER));
            }
        } else if let Some(count) = pattern.strip_prefix(NEWEST) {
            let count = count.parse().ok().filter(|count| *count > 0);
            let count = count.ok_or_else(|| PatternError::Newest(pattern.to_owned()))?;
            if self.newest.replace(count).is_some() {
                return Err(PatternError::Twice(NEWEST));
            }
        } else {
            match pattern.parse()? {
                Matcher::Name(tag) => self.names.push(tag),
                matcher @ (Matcher::Version(_) | Matcher::Constraint(_)) => {
                    self.all_of.push(matcher)
                }
                matcher => self.any_of.push(matcher),
            }
        }
        Ok(())
    }

    /// The patterns that make this filter; none for all tags.
    pub(in crate::sync) fn patterns(&self) -> Vec<String> {
        let names = self.names.iter().map(ToString::to_string);
        let matchers = self.any_of.iter().chain(&self.all_of);
        let excluded = self.none_of.iter().map(|it| format!("!{it}"));
        let newer = self.newer.iter().map(|span| format!("{NEWER}{span}"));
        let newest = self.newest.map(|count| format!("{NEWEST}{count}"));
        let patterns = names.chain(matchers.map(ToString::to_string));
        patterns
            .chain(excluded)
            .chain(newer)
            .chain(newest)
            .collect()
    }

    /// Whether only versions can be chosen beside the plain names.
    pub(in crate::sync) fn wants_newest(&self) -> bool {
        self.newest.is_some()
    }

    /// Whether nothing of `listed` is left because patterns narrow each other: each fits some of it. When images were
    /// created is not known here, and some may have been lately.
    pub(in crate::sync) fn is_narrowed_away(&self, listed: &[Tag]) -> bool {
        let fits = |matcher: &Matcher| listed.iter().any(|tag| matcher.matches(tag.as_str()));
        let wild = usize::from(!self.any_of.is_empty());
        let count = wild + self.all_of.len() + usize::from(self.newer.is_some());
        let is_wild_idle = wild > 0 && !self.any_of.iter().any(fits);
        count > 1 && !is_wild_idle && self.all_of.iter().all(fits)
    }

    /// Whether every tag is meant.
    pub fn is_all(&self) -> bool {
        self.names.is_empty() && self.picks_from_all() && self.is_plain()
    }

    /// Whether [`TagFilter::choose`] needs the tags of the repository.
    pub fn needs_listing(&self) -> bool {
        !self.any_of.is_empty() || self.picks_from_all()
    }

    /// The tags of `listed` that patterns choose from. Only one that says so, such as `sha256-*`, chooses those named
    /// after a digest: they go with their image, or stay behind with its other referrers, and would overwrite what the
    /// destination has of them.
    pub(in crate::sync) fn offered(&self, listed: &[Tag]) -> Vec<Tag> {
        let says_so = |matcher: &&Matcher| {
            let text = matcher.to_string();
            text.contains("sha256-") || text.contains("sha512-")
        };
        let of_digests: Vec<_> = self.any_of.iter().filter(says_so).collect();
        let is_offered = |tag: &&Tag| {
            !tag.is_of_digest() || of_digests.iter().any(|it| it.matches(tag.as_str()))
        };
        listed.iter().filter(is_offered).cloned().collect()
    }

    /// The chosen tags: plain names as they were written, then the others as they are listed, with `newest:` the newest
    /// first.
    ///
    /// # Errors
    /// The tags whose dates have to be known first.
    pub(in crate::sync) fn choose(
        &self,
        listed: &[Tag],
        dates: &Dates,
    ) -> Result<Vec<Tag>, Vec<Tag>> {
        let names: HashSet<&Tag> = self.names.iter().collect();
        let excluded = |tag: &Tag| self.none_of.iter().any(|m| m.matches(tag.as_str()));
        let mut others: Vec<&Tag> = listed
            .iter()
            .filter(|tag| {
                !names.contains(tag)
                    && (self.picks_from_all()
                        || self.any_of.iter().any(|m| m.matches(tag.as_str())))
                    && self.all_of.iter().all(|m| m.matches(tag.as_str()))
                    && !excluded(tag)
            })
            .collect();
        if self.newest.is_some() {
            let ages = others.iter().map(|tag| (Age::of(tag.as_str()), *tag));
            let mut versions: Vec<_> = ages.filter(|(age, _)| age.is_some()).collect();
            versions.sort_by(|one, other| other.cmp(one));
            others = versions.into_iter().map(|(_, tag)| tag).collect();
        }
        let most = self.newest.unwrap_or(usize::MAX);
        if let Some(span) = &self.newer {
            others = dates.newer(others, span, most)?;
        }
        others.truncate(most);
        let names = self.names.iter().filter(|tag| !excluded(tag));
        Ok(names.chain(others).cloned().collect())
    }

    /// Those of `tags` that are chosen, in their order.
    ///
    /// # Errors
    /// The tags whose dates have to be known first.
    pub(in crate::sync) fn narrow(
        &self,
        mut tags: Vec<Tag>,
        dates: &Dates,
    ) -> Result<Vec<Tag>, Vec<Tag>> {
        let chosen: HashSet<Tag> = self.choose(&tags, dates)?.into_iter().collect();
        tags.retain(|tag| chosen.contains(tag));
        Ok(tags)
    }

    /// Without globs and regular expressions, the other patterns work on all tags; beside plain names, `!` alone does
    /// not.
    fn picks_from_all(&self) -> bool {
        let narrows = !self.all_of.is_empty() || self.newer.is_some() || self.newest.is_some();
        self.any_of.is_empty() && (self.names.is_empty() || narrows)
    }

    fn is_plain(&self) -> bool {
        self.all_of.is_empty()
            && self.none_of.is_empty()
            && self.newer.is_none()
            && self.newest.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn tags(text: &str) -> Vec<Tag> {
        text.split_whitespace()
            .map(|tag| tag.parse().unwrap())
            .collect()
    }

    fn undated() -> Dates {
        Dates::at(SystemTime::UNIX_EPOCH)
    }

    fn chosen(patterns: &[&str], listed: &str) -> String {
        let mut filter = TagFilter::all();
        for pattern in patterns {
            filter.add(pattern).unwrap();
        }
        let chosen = filter.choose(&tags(listed), &undated()).unwrap();
        let chosen: Vec<&str> = chosen.iter().map(Tag::as_str).collect();
        chosen.join(" ")
    }

    const LISTED: &str =
        "v1.1.0 v1.10.0 v1.2.0 v1.2.0-nightly v2.0.0-rc.1 latest v1 1.3.0 dev-20240101";

    #[test]
    fn no_pattern_and_a_star_mean_all() {
        assert_eq!(chosen(&[], LISTED), LISTED);
        assert_eq!(chosen(&["*"], LISTED), LISTED);
        assert!(TagFilter::all().is_all());
    }

    #[test]
    fn the_documented_example_narrows_step_by_step() {
        let patterns = ["v*", "!*-nightly", "semver:>=1.2", "newest:10"];
        assert_eq!(chosen(&patterns, LISTED), "v1.10.0 v1.2.0");
        let reversed: Vec<&str> = patterns.into_iter().rev().collect();
        assert_eq!(chosen(&reversed, LISTED), "v1.10.0 v1.2.0");
    }

    #[test]
    fn globs_and_regular_expressions_add_up() {
        assert_eq!(
            chosen(&["1.*", "/^dev-[0-9]+$/"], LISTED),
            "1.3.0 dev-20240101"
        );
        assert_eq!(chosen(&["/nightly/"], LISTED), "v1.2.0-nightly");
    }

    #[test]
    fn plain_names_are_chosen_whether_listed_or_not() {
        assert_eq!(chosen(&["9.9", "latest"], "latest"), "9.9 latest");
        assert_eq!(
            chosen(&["latest", "newest:1"], LISTED),
            "latest v2.0.0-rc.1"
        );
        assert_eq!(chosen(&["latest", "v1.*"], "v1.1 v2 latest"), "latest v1.1");
        assert_eq!(chosen(&["latest", "!dev*"], LISTED), "latest");
        assert_eq!(chosen(&["latest", "dev-1", "!dev*"], LISTED), "latest");
    }

    #[test]
    fn exclusions_alone_take_away_from_all() {
        assert_eq!(chosen(&["!v*", "!latest"], LISTED), "1.3.0 dev-20240101");
        assert_eq!(
            chosen(&["v*", "!semver:<2"], "v1.0.0 v2.0.0 vx"),
            "v2.0.0 vx"
        );
    }

    #[test]
    fn only_versions_are_new_and_their_numbers_say_how_new() {
        assert_eq!(
            chosen(&["newest:4"], LISTED),
            "v2.0.0-rc.1 v1.10.0 1.3.0 v1.2.0"
        );
        assert_eq!(chosen(&["newest:2"], "b a 0.1.0"), "0.1.0");
        assert_eq!(chosen(&["newest:1"], "3.9 3.18 3.19 latest"), "3.19");
        assert_eq!(
            chosen(&["newest:2"], "1.2 1.10.0-rc1 1.9"),
            "1.10.0-rc1 1.9"
        );
        assert_eq!(chosen(&["newest:1", "!*-*"], "3.9 3.18-rc1 3.18"), "3.18");
    }

    #[test]
    fn what_was_created_lately_is_asked_for_only_where_it_decides() {
        let mut filter = TagFilter::all();
        let patterns = ["v*", "old", "!v0*", "newer:2d"];
        patterns.iter().for_each(|it| filter.add(it).unwrap());
        let listed = tags("v0.1 v1 v2 v3 other old");
        let mut dates = Dates::at(SystemTime::UNIX_EPOCH + Duration::from_secs(10 * 86_400));
        assert_eq!(filter.choose(&listed, &dates), Err(tags("v1 v2 v3")));
        let day = |number: u64| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(number * 86_400));
        for (tag, date) in [("v1", day(7)), ("v2", day(8)), ("v3", None)] {
            dates.add(tag.parse().unwrap(), date);
        }
        assert_eq!(filter.choose(&listed, &dates), Ok(tags("old v2")));
        assert_eq!(filter.patterns(), ["old", "v*", "!v0*", "newer:2d"]);
        assert!(!filter.is_all() && filter.needs_listing());
        let twice = filter.add("newer:1w").unwrap_err().to_string();
        assert_eq!(twice, "`newer:` is given twice");
    }

    #[test]
    fn the_newest_are_those_of_what_was_created_lately_and_the_others_are_not_asked() {
        let mut filter = TagFilter::all();
        for pattern in ["newer:2d", "newest:2"] {
            filter.add(pattern).unwrap();
        }
        let listed: Vec<Tag> = (1..=30)
            .map(|it| format!("v{it}").parse().unwrap())
            .collect();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(10 * 86_400);
        let mut dates = Dates::at(now);
        let mut asked = Vec::new();
        let chosen = loop {
            match filter.choose(&listed, &dates) {
                Ok(chosen) => break chosen,
                Err(unknown) => {
                    for tag in unknown {
                        let is_new = ["v25", "v19", "v3"].contains(&tag.as_str());
                        dates.add(tag.clone(), is_new.then_some(now));
                        asked.push(tag);
                    }
                }
            }
        };
        assert_eq!(chosen, tags("v25 v19"));
        assert!(asked.len() < 20, "{asked:?}");
    }

    #[test]
    fn only_names_need_no_listing() {
        let names = TagFilter::names(tags("a b"));
        assert!(!names.needs_listing());
        assert_eq!(Select::Tags(names.clone()).names(), tags("a b"));
        assert_eq!(names.narrow(tags("b c"), &undated()), Ok(tags("b")));
        assert!(TagFilter::all().needs_listing());
        assert!(Select::Tags(TagFilter::all()).names().is_empty());
    }

    #[test]
    fn what_cannot_match_is_refused_with_its_reason() {
        for (pattern, reason) in [
            ("", "is neither a tag nor a pattern"),
            ("a b*", "is neither a tag nor a pattern"),
            ("v{1,2}", "is neither a tag nor a pattern"),
            ("[ab]*", "is neither a tag nor a pattern"),
            ("/(/", "is not a regular expression"),
            ("semver:banana", "is not a range of versions"),
            ("newest:0", "is not a number of tags"),
            ("newest:-1", "is not a number of tags"),
            ("!newest:3", "`newest:` has no opposite"),
            ("!newer:3d", "`newer:` has no opposite"),
            ("newer:3", "is not an age"),
            ("!", "is neither a tag nor a pattern"),
        ] {
            let error = TagFilter::all().add(pattern).unwrap_err().to_string();
            assert!(error.contains(reason), "{pattern}: {error}");
        }
    }
}
