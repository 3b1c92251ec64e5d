//! One of several parts of a run, each on a machine of its own. The cut needs no coordination: it follows from the
//! files alone, and each image is in exactly one part.

use std::collections::HashSet;

use anyhow::Result;

use super::request::Request;
use super::resolve::Resolved;
use crate::cli::ShardBy;
use crate::exit::bad_input;
use crate::oci::Digest;
use crate::report::ShardReport;

/// Part `number` of `of`, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shard {
    number: usize,
    of: usize,
    by: ShardBy,
}

/// More than anybody has machines.
pub(super) const MOST: usize = 10_000;

impl Shard {
    /// Reads `K/N`, from 1; of `N` alone, the part is `index`, which counts from 0 as Kubernetes'
    /// `JOB_COMPLETION_INDEX` does. `said` is how somebody asked for it, for messages.
    ///
    /// # Errors
    /// [`BadInput`](crate::exit::BadInput): a part that there is not.
    pub fn read(text: &str, by: ShardBy, index: Option<&str>, said: &str) -> Result<Shard> {
        let wrong = |why: String| {
            bad_input(format!(
                "`{said}`: {why}\nhint: `2/4` is the second of four parts; `4` is one of four, by `JOB_COMPLETION_INDEX`, from 0"
            ))
        };
        let number = |text: &str| text.trim().parse::<usize>().ok();
        let of_index =
            |part: usize| format!(": `JOB_COMPLETION_INDEX` is {part}, and counts from 0");
        let (number, of, why) = match (text.split_once('/'), number(text), index.map(number)) {
            (Some((part, of)), ..) => (number(part), number(of), String::new()),
            (None, None, _) => (None, None, String::new()),
            (None, Some(_), None) => {
                return Err(wrong("`JOB_COMPLETION_INDEX` is not set".to_owned()));
            }
            (None, Some(_), Some(None)) => {
                return Err(wrong("`JOB_COMPLETION_INDEX` is no number".to_owned()));
            }
            (None, of, Some(Some(part))) => (Some(part.saturating_add(1)), of, of_index(part)),
        };
        match (number, of) {
            (Some(number), Some(of)) if of <= MOST && (1..=of).contains(&number) => {
                Ok(Shard { number, of, by })
            }
            (Some(number), Some(of)) if of <= MOST => {
                Err(wrong(format!("there is no part {number} of {of}{why}")))
            }
            _ => Err(wrong(format!("two numbers, at most {MOST}, are asked for"))),
        }
    }

    /// How many parts there are.
    pub fn of(&self) -> usize {
        self.of
    }

    /// `request` is the digest of what is asked for, before it is cut.
    pub fn report(&self, request: Digest) -> ShardReport {
        let by = match self.by {
            ShardBy::Repository => "repository",
            ShardBy::Tag => "tag",
        };
        ShardReport {
            number: self.number,
            of: self.of,
            by: Some(by.to_owned()),
            request: Some(request),
        }
    }

    /// Leaves the rules of this part: sources in the order of their digests, so that parts have as many of them.
    ///
    /// Where sources were listed, each is cut by itself: another part may have listed one more.
    pub fn cut_rules(&self, request: &mut Request, is_listed: bool) {
        if self.by == ShardBy::Tag {
            return;
        }
        // Where a wrong rule would copy from is not known: the first part tells of it.
        request.wrong.retain(|_| self.number == 1);
        request.local.take_if(|_| self.number != 1);
        if is_listed {
            request.rules.retain(|it| self.has(&it.source.to_string()));
            return;
        }
        let sources: HashSet<String> = request
            .rules
            .iter()
            .map(|it| it.source.to_string())
            .collect();
        let mut sources: Vec<String> = sources.into_iter().collect();
        sources.sort_by_cached_key(|it| Digest::sha256_of(it.as_bytes()));
        let of_this = sources.into_iter().skip(self.number - 1).step_by(self.of);
        let of_this: HashSet<String> = of_this.collect();
        request
            .rules
            .retain(|it| of_this.contains(&it.source.to_string()));
    }

    /// Leaves the images of this part, and every source that cannot be listed: who knows what is there.
    pub fn cut_images(&self, resolved: &mut Resolved) {
        if self.by == ShardBy::Repository {
            return;
        }
        resolved.jobs.retain(|job| self.has(&job.name));
        resolved.wrong.retain(|row| self.has(&row.image));
        resolved
            .failed
            .retain(|row| row.tags.is_empty() || self.has(&row.image));
    }

    fn has(&self, image: &str) -> bool {
        let digest = Digest::sha256_of(image.as_bytes());
        let number = u64::from_str_radix(&digest.hex()[..15], 16).unwrap_or_default();
        number % self.of as u64 == self.number as u64 - 1
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DestinationTags, Rule, RuleDestination, Select, TagFilter};
    use super::*;
    use crate::copy::{CopyResult, Policy};
    use crate::credentials::Logins;
    use crate::oci::{RepositoryName, Tag};

    fn read(text: &str, index: Option<&str>) -> Result<(usize, usize), String> {
        let shard = Shard::read(text, ShardBy::Repository, index, "--shard");
        let shard = shard.map_err(|error| error.to_string())?;
        Ok((shard.number, shard.of))
    }

    #[test]
    fn a_part_is_told_by_itself_or_by_kubernetes() {
        assert_eq!(read("2/4", None), Ok((2, 4)));
        assert_eq!(read("4", Some("0")), Ok((1, 4)));
        assert_eq!(read("1/4", Some("3")), Ok((1, 4)));
        for (text, index, why) in [
            ("0/4", None, "there is no part 0 of 4"),
            ("5/4", None, "there is no part 5 of 4"),
            (
                "4",
                Some("4"),
                "there is no part 5 of 4: `JOB_COMPLETION_INDEX` is 4, and counts from 0",
            ),
            ("4", None, "`JOB_COMPLETION_INDEX` is not set"),
            ("4", Some("x"), "`JOB_COMPLETION_INDEX` is no number"),
            ("foo", None, "two numbers"),
            ("foo", Some("1"), "two numbers"),
            ("0", Some("0"), "there is no part 1 of 0"),
            ("a/4", None, "two numbers"),
            ("1/", None, "two numbers"),
            ("1/100000", None, "two numbers"),
            ("-1/4", None, "two numbers"),
        ] {
            let error = read(text, index).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn each_image_is_in_one_part() {
        let part = |number| Shard {
            number,
            of: 3,
            by: ShardBy::Tag,
        };
        let mut counts = [0; 3];
        for image in (0..300).map(|it| format!("r.io/app:v{it}")) {
            let parts: Vec<usize> = (1..=3).filter(|it| part(*it).has(&image)).collect();
            assert_eq!(parts.len(), 1, "{image}");
            counts[parts[0] - 1] += 1;
        }
        assert!(counts.iter().all(|it| *it > 60), "{counts:?}");
    }

    /// 10,000 tags in 100 repositories.
    fn large() -> Request {
        let tags: Vec<Tag> = (0..100)
            .map(|it| format!("v{it}").parse().unwrap())
            .collect();
        let rule = |number: usize| {
            let name = |host: &str| RepositoryName::new(host, &format!("team/app{number}"));
            Rule {
                source: name("r.io").unwrap(),
                select: Select::Tags(TagFilter::names(tags.clone())),
                only: None,
                destinations: vec![RuleDestination {
                    repository: name("one.io").unwrap(),
                    tags: DestinationTags::Same,
                }],
                policy: Policy::default(),
                origin: String::new(),
            }
        };
        Request {
            rules: (0..100).map(rule).collect(),
            projects: Vec::new(),
            local: None,
            logins: Logins::default(),
            warnings: Vec::new(),
            wrong: Vec::new(),
            may_be_empty: false,
        }
    }

    #[test]
    fn four_parts_of_a_large_plan_are_the_whole_and_nothing_twice() {
        // Listed sources are cut one by one, and parts are less alike.
        for (by, is_listed, alike) in [
            (ShardBy::Repository, false, 2_250..=2_750),
            (ShardBy::Repository, true, 1_200..=3_800),
            (ShardBy::Tag, false, 2_250..=2_750),
        ] {
            let mut all = HashSet::new();
            for number in 1..=4 {
                let part = Shard { number, of: 4, by };
                let mut request = large();
                part.cut_rules(&mut request, is_listed);
                let mut resolved = Resolved::default();
                for rule in &request.rules {
                    let rows = rule.copies(&[]).into_iter().map(|copy| {
                        let image = rule.source.at(copy.at).to_string();
                        let tags = copy.to.into_iter().flat_map(|(_, tags)| tags).collect();
                        CopyResult {
                            tags,
                            ..CopyResult::failed(image, &rule.source, String::new(), None)
                        }
                    });
                    resolved.failed.extend(rows);
                }
                part.cut_images(&mut resolved);
                let count = resolved.failed.len();
                assert!(alike.contains(&count), "{by:?} {number}: {count}");
                for row in resolved.failed {
                    assert!(all.insert(row.image.clone()), "{} twice", row.image);
                }
            }
            assert_eq!(all.len(), 10_000, "{by:?}");
        }
    }
}
