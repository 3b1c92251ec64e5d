//! What a release will do, as plain data: the dry run prints it, the targets obey it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::builder::Builder;
use super::logins::RegistryLogins;
use super::tags::{Tags, is_version};
use super::transport::Transport;
use crate::cli::Via;
use crate::credentials::NoLogin;
use crate::engine::BuildPlan;
use crate::exit::bad_input;
use crate::graph;
use crate::image::Location;
use crate::oci::{Platform, RepositoryName, Tag};
use crate::packages::Source;
use crate::settings::{Release, ReleaseSettings};

/// Everything about a release that is known before it starts.
#[derive(Debug)]
pub struct ReleasePlan {
    pub version: semver::Version,
    /// The git tag of the release.
    pub git_tag: String,
    /// The name of the image and the version, as people write them.
    pub image: String,
    pub platforms: Vec<Platform>,
    /// The URL of the package index, without its query.
    pub package_index: String,
    /// Where the packages are kept.
    pub packages: PathBuf,
    /// Where the build context is staged, with one `lib-<arch>/` for each platform.
    pub context: PathBuf,
    /// Where the layer builder leaves the image, as an OCI layout.
    pub layout: PathBuf,
    /// What the layer builder remembers of base images.
    pub base_memory: PathBuf,
    /// What the layer builder remembers of the layers that it made.
    pub layer_memory: PathBuf,
    /// One image for each platform.
    pub builds: Vec<BuildPlan>,
    pub pushes: Vec<PushPlan>,
    /// Somebody has chosen the moving tags: they are set whatever they name.
    pub tags_by_hand: bool,
    /// `owner/name` on GitHub.
    pub github_repository: String,
    pub transport: Transport,
}

/// What a registry is to hold.
#[derive(Debug)]
pub struct PushPlan {
    /// The registry's name in the settings.
    pub registry: String,
    pub target: String,
    pub repository: RepositoryName,
    /// What `--via engine` pushes. A single image has the tag `immutable`; several have their own, and `immutable` is
    /// an index of them.
    pub images: Vec<PushedImage>,
    pub immutable: Tag,
    pub moving: Vec<Tag>,
}

/// One image of a [`PushPlan`].
#[derive(Debug)]
pub struct PushedImage {
    pub platform: Platform,
    /// Its name in the engine.
    pub local: String,
    pub tag: Tag,
}

impl PushPlan {
    pub fn tags(&self) -> impl Iterator<Item = &Tag> {
        std::iter::once(&self.immutable).chain(&self.moving)
    }

    /// The requirement that is not met where a push needs a login.
    pub fn no_login(&self, why: &NoLogin) -> String {
        format!("`{}`: {why}", self.target)
    }
}

impl ReleasePlan {
    /// The plan for the version of the settings, or if there is none, for a placeholder that only a dry run may show.
    ///
    /// # Errors
    /// [`BadInput`](crate::exit::BadInput): a package index that cannot be one, a version that is too long for a tag.
    pub fn new(settings: &ReleaseSettings, transport: Transport) -> Result<Self> {
        let placeholder = Release {
            version: semver::Version::new(0, 0, 0),
            tag: "v0.0.0".to_owned(),
        };
        let release = settings.release.as_ref().unwrap_or(&placeholder);
        let version = &release.version;
        let output = settings.root.join("output");
        let context = output.join("docker-build-context");
        let tags = Tags::of(version, &settings.platforms).map_err(bad_input)?;
        let local = |tag: &Tag| format!("{}:{tag}", settings.image);
        let builds = settings.platforms.iter().zip(&tags.platforms);
        let builds = builds.map(|(platform, tag)| BuildPlan {
            context: context.clone(),
            dockerfile: "Dockerfile".to_owned(),
            tag: local(tag),
            platform: platform.clone(),
            args: BTreeMap::from([
                ("VERSION".to_owned(), version.to_string()),
                ("BUILD_DATE".to_owned(), rfc3339(settings.timestamp)),
                ("BASE_IMAGE".to_owned(), settings.base_image.clone()),
            ]),
            labels: labels(settings, version),
            timestamp: settings.timestamp,
        });
        // What the engine pushes: one image for each platform, or the one that is given.
        let given = match transport.local() {
            Some(Location::Engine(name)) => Some(name),
            _ => None,
        };
        let platforms = match given {
            Some(_) => settings.platforms.get(..1).unwrap_or_default(),
            None => &settings.platforms[..],
        };
        let pushes = settings.registries.iter().map(|registry| PushPlan {
            registry: registry.name.clone(),
            target: registry.target.clone(),
            repository: registry.repository.clone(),
            images: platforms
                .iter()
                .zip(&tags.platforms)
                .map(|(platform, tag)| PushedImage {
                    platform: platform.clone(),
                    local: given.cloned().unwrap_or_else(|| local(tag)),
                    tag: match platforms.len() {
                        1 => tags.immutable.clone(),
                        _ => tag.clone(),
                    },
                })
                .collect(),
            immutable: tags.immutable.clone(),
            moving: tags.moving.clone(),
        });
        let index = Source::new(settings.package_index.clone()).map_err(bad_input)?;
        Ok(ReleasePlan {
            git_tag: release.tag.clone(),
            image: format!("{}:{version}", settings.image),
            platforms: settings.platforms.clone(),
            package_index: index.to_string(),
            packages: output.join("packages").join(version.to_string()),
            builds: builds.collect(),
            pushes: pushes.collect(),
            tags_by_hand: false,
            github_repository: settings.github.repository.clone(),
            version: version.clone(),
            layout: output.join("image"),
            base_memory: settings.root.join("target/release-memory/bases"),
            layer_memory: settings.root.join("target/release-memory/layers"),
            context,
            transport,
        })
    }

    /// Takes `tags` for the moving tags of every registry.
    ///
    /// # Errors
    /// [`BadInput`](crate::exit::BadInput): one that is no tag, or names another version.
    pub fn choose_tags(&mut self, tags: &[String]) -> Result<()> {
        let mut moving = Vec::new();
        for text in tags.iter().filter(|text| !text.is_empty()) {
            let tag: Tag = text.parse().map_err(bad_input)?;
            if is_version(&tag) {
                let why = "it names one version for ever";
                return Err(bad_input(format!("`--tags {tag}`: {why}")));
            }
            moving.push(tag);
        }
        for push in &mut self.pushes {
            push.moving.clone_from(&moving);
        }
        self.tags_by_hand = true;
        Ok(())
    }

    /// Whether `targets` make the image, or push what was made.
    pub fn makes_image(&self, targets: &[&str]) -> bool {
        let pushes = || self.pushes.iter().any(|it| targets.contains(&&*it.target));
        self.transport.image.is_none() && (targets.contains(&"docker-build") || pushes())
    }

    /// Whether the packages are not unpacked, because the layer builder is next.
    pub fn stays_zipped(&self, steps: &graph::Plan) -> bool {
        let mut steps = steps.steps.iter();
        self.transport.builder == Builder::Layers
            && steps.any(|step| step.target == "docker-build" && !step.skipped)
    }

    /// The build context's directory for one platform: `lib-amd64` for `linux/amd64`, as `TARGETARCH` has it.
    pub fn lib(&self, platform: &Platform) -> PathBuf {
        self.context.join(format!("lib-{}", platform.architecture))
    }

    /// The dry run: every scheduled step, and what could not be checked without network, engine and credentials.
    pub fn to_text(
        &self,
        steps: &graph::Plan,
        settings: &ReleaseSettings,
        logins: &RegistryLogins,
        unmet: &[String],
    ) -> String {
        let mut text = match settings.release {
            Some(_) => format!("release {} as `{}`\n", self.version, self.git_tag),
            None => format!(
                "no version is given, so this is the plan for {}\n",
                self.version
            ),
        };
        for step in &steps.steps {
            let lines = if step.skipped {
                vec!["left out by --skip".to_owned()]
            } else {
                self.lines(&step.target, steps, settings, logins, unmet)
            };
            let _ = writeln!(text, "\n{}", step.target);
            for line in lines {
                let _ = writeln!(text, "    {line}");
            }
        }
        let made = match &self.transport.image {
            None if self.transport.builder == Builder::Layers => {
                "that the packages and the base images exist"
            }
            None => "that the packages exist, that an engine answers and the image builds",
            Some(_) => "that the image is whole",
        };
        let _ = writeln!(
            text,
            "\nnot checked: {made}, that the registries accept the credentials, what the registries hold already"
        );
        text
    }

    fn lines(
        &self,
        target: &str,
        steps: &graph::Plan,
        settings: &ReleaseSettings,
        logins: &RegistryLogins,
        unmet: &[String],
    ) -> Vec<String> {
        let relative = |path: &Path| {
            path.strip_prefix(&settings.root)
                .unwrap_or(path)
                .display()
                .to_string()
        };
        if let Some(push) = self.pushes.iter().find(|push| push.target == target) {
            let mut lines = push_lines(push, logins, unmet, &self.transport);
            if !self.tags_by_hand && !push.moving.is_empty() {
                let moving = join(&push.moving);
                let condition = "only where no newer version of its line is there";
                lines.push(format!("{moving}: each {condition}"));
            }
            return lines;
        }
        if let Some(reason) = self.transport.skip()
            && matches!(target, "download" | "extract" | "docker-build")
        {
            return vec![reason];
        }
        match target {
            "download" => vec![
                format!(
                    "the packages for {} from {}",
                    join(&self.platforms),
                    self.package_index
                ),
                format!("into {}", relative(&self.packages)),
            ],
            "extract" if self.stays_zipped(steps) => {
                vec!["the files stay in their packages until they are in layers".to_owned()]
            }
            "extract" => self
                .platforms
                .iter()
                .map(|platform| format!("{platform} into {}", relative(&self.lib(platform))))
                .collect(),
            "docker-build" => {
                let builds = self.builds.iter();
                let builds = builds.map(|it| build_line(it, self.transport.builder));
                let load = self.transport.load;
                let load = load.then(|| format!("the engine gets its platform as {}", self.image));
                std::iter::once(self.transport.made())
                    .chain(builds)
                    .chain(load)
                    .collect()
            }
            "github-release" => {
                let kind = if self.version.pre.is_empty() {
                    "release"
                } else {
                    "prerelease"
                };
                let packages = match self.transport.image {
                    Some(_) => "the packages that are there",
                    None => "the packages",
                };
                vec![format!(
                    "{kind} `{}` of {} with {packages}",
                    self.git_tag, self.github_repository
                )]
            }
            _ => Vec::new(),
        }
    }
}

/// Names, separated by commas.
pub fn join(names: &[impl std::fmt::Display]) -> String {
    names
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn build_line(build: &BuildPlan, builder: Builder) -> String {
    let args: Vec<String> = build
        .args
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let args = args.join(" ");
    match builder {
        Builder::Engine => format!("{} as {} with {args}", build.platform, build.tag),
        Builder::Layers => format!("{} into output/image with {args}", build.platform),
    }
}

fn push_lines(
    push: &PushPlan,
    logins: &RegistryLogins,
    unmet: &[String],
    transport: &Transport,
) -> Vec<String> {
    let mut lines = Vec::new();
    if transport.via != Via::Engine {
        let compression = transport.compression;
        lines.push(format!(
            "read once and compressed once ({compression}) for all registries"
        ));
        if transport.is_engine_asked(push.images.len()) {
            lines.push("or pushed by the engine, if it holds the layers compressed".to_owned());
        }
    } else if push.images.len() > 1 {
        for image in &push.images {
            let reference = push.repository.at(image.tag.clone());
            lines.push(format!("{reference} ({})", image.platform));
        }
    }
    for tag in push.tags() {
        lines.push(push.repository.at(tag.clone()).to_string());
    }
    lines.push(match &logins[&push.registry] {
        Ok(login) => format!("login: {}", login.origin),
        Err(why) if unmet.contains(&push.no_login(why)) => format!("no login: {why}"),
        Err(why) => format!("would be skipped: {why}"),
    });
    lines
}

/// <https://github.com/opencontainers/image-spec/blob/main/annotations.md>
fn labels(settings: &ReleaseSettings, version: &semver::Version) -> BTreeMap<String, String> {
    let source = format!("{}{}", settings.github.server, settings.github.repository);
    let mut labels = vec![
        ("version", version.to_string()),
        ("created", rfc3339(settings.timestamp)),
        ("source", source),
    ];
    labels.extend(
        settings
            .commit
            .as_ref()
            .map(|commit| ("revision", commit.id.clone())),
    );
    labels
        .into_iter()
        .map(|(name, value)| (format!("org.opencontainers.image.{name}"), value))
        .collect()
}

/// Seconds since 1970 as a date.
pub fn rfc3339(seconds: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    humantime::format_rfc3339_seconds(time).to_string()
}
