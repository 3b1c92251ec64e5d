//! Stages, platforms, and what is needed of a Dockerfile.

use super::super::Dockerfile;
use super::{FILE, recipe_on, recipe_with, shown};
use crate::image::layers::recipe::BaseConfig;
use crate::oci::Platform;

#[test]
fn the_projects_own_dockerfile() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docker/Dockerfile");
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(Dockerfile::parse(FILE, &text).unwrap().needs_engine(), None);
    let build_args = [
        ("BASE_IMAGE", "mcr.microsoft.com/dotnet/aspnet:10.0"),
        ("VERSION", "1.2.3"),
        ("BUILD_DATE", "2026-01-02T03:04:05Z"),
    ];
    let recipe = recipe_on(&text, "linux/arm64", &build_args, BaseConfig::default()).unwrap();
    let said = shown(&recipe);
    let lines: Vec<&str> = said
        .lines()
        .map(|line| line.split_once(' ').unwrap().1)
        .collect();
    assert_eq!(
        lines,
        [
            "mcr.microsoft.com/dotnet/aspnet:10.0 linux/arm64",
            "context: folders/ -> /",
            "context: entrypoint.sh healthcheck.sh -> /",
            "context: lib-arm64/ -> /app/",
            "WORKDIR /app",
            "USER 1000:1000",
            "ENV HOME=/app/data ASPNETCORE_ENVIRONMENT=Production ASPNETCORE_URLS=http://+:5000",
            "EXPOSE [5000/tcp]",
            "HEALTHCHECK {Test:[CMD /healthcheck.sh] Interval:30s Timeout:5s StartPeriod:40s StartInterval:0s \
             Retries:0}",
            "ENTRYPOINT [\"/entrypoint.sh\"]",
            "LABEL org.opencontainers.image.version=1.2.3 \
             org.opencontainers.image.created=2026-01-02T03:04:05Z",
        ]
    );
}

#[test]
fn recipes() {
    for (text, wanted) in [
        ("FROM scratch", "0: scratch\n"),
        ("FROM alpine", "0: docker.io/library/alpine linux/amd64\n"),
        (
            "ARG TAG=3.20\nFROM \"alpine:${TAG}\"",
            "0: docker.io/library/alpine:3.20 linux/amd64\n",
        ),
        (
            "FROM --platform=linux/arm64/v8 alpine",
            "0: docker.io/library/alpine linux/arm64\n",
        ),
        (
            "FROM --platform=aarch64 alpine",
            "0: docker.io/library/alpine linux/arm64\n",
        ),
        (
            "FROM --platform=$TARGETPLATFORM alpine AS a\nUSER $TARGETARCH.\nARG TARGETARCH\nUSER $TARGETARCH.",
            "0: docker.io/library/alpine linux/amd64\n2 USER .\n4 USER amd64.\n",
        ),
        // Stages that are not needed are not there, whatever they do.
        (
            "FROM alpine AS tools\nRUN make\nFROM scratch AS files\nCOPY a /\nFROM debian\nCOPY --from=files /a /b",
            "0: scratch\n4 context: a -> /\n1: docker.io/library/debian linux/amd64\n6 stage 0: a -> /b\n",
        ),
        (
            "FROM No/Such AS unused\nRUN x\nFROM scratch",
            "0: scratch\n",
        ),
        // A chain, by names whatever their case.
        (
            "FROM scratch AS Base\nENV A=1\nFROM base AS mid\nCOPY a /a\nFROM MID\nENV B=$A",
            "0: scratch\n2 ENV A=1\n1: stage 0\n4 context: a -> /a\n2: stage 1\n6 ENV B=1\n",
        ),
        // A variable may choose the stage.
        (
            "ARG KIND=slim\nFROM scratch AS slim\nUSER s\nFROM scratch AS full\nRUN x\nFROM $KIND",
            "0: scratch\n3 USER s\n1: stage 0\n",
        ),
        // The last of two stages with a name, of those before.
        (
            "FROM scratch AS a\nUSER 1\nFROM scratch AS a\nUSER 2\nFROM a",
            "0: scratch\n4 USER 2\n1: stage 0\n",
        ),
        // A stage may bear an image's name.
        (
            "FROM alpine AS debian\nFROM debian",
            "0: docker.io/library/alpine linux/amd64\n1: stage 0\n",
        ),
    ] {
        assert_eq!(
            shown(&recipe_with(text, &[]).expect(text)),
            wanted,
            "{text}"
        );
    }
}

#[test]
fn platforms_as_arguments() {
    let text = "FROM scratch
ARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT BUILDOS
USER $TARGETPLATFORM,$TARGETOS,$TARGETARCH,$TARGETVARIANT,$BUILDOS";
    for (platform, wanted) in [
        ("linux/amd64", "linux/amd64,linux,amd64,,linux"),
        ("linux/arm64", "linux/arm64,linux,arm64,,linux"),
        ("linux/arm64/v8", "linux/arm64,linux,arm64,,linux"),
        ("linux/arm/v7", "linux/arm/v7,linux,arm,v7,linux"),
        ("linux/arm/v6", "linux/arm/v6,linux,arm,v6,linux"),
        ("linux/amd64/v3", "linux/amd64/v3,linux,amd64,v3,linux"),
    ] {
        let recipe = recipe_on(text, platform, &[], BaseConfig::default()).unwrap();
        assert_eq!(recipe.stages[0].steps[0].text, format!("USER {wanted}"));
    }
    let recipe = recipe_with(text, &[("TARGETARCH", "mine")]).unwrap();
    assert!(recipe.stages[0].steps[0].text.contains(",mine,"));
}

#[test]
fn the_build_platform_is_this_machines() {
    let text = "FROM --platform=$BUILDPLATFORM alpine\nARG BUILDPLATFORM\nUSER $BUILDPLATFORM";
    let recipe = recipe_on(text, "linux/s390x", &[], BaseConfig::default()).unwrap();
    let user = &recipe.stages[0].steps[0].text;
    let platform = user.strip_prefix("USER ").unwrap();
    assert!(shown(&recipe).contains(&format!("alpine {platform}\n")));
    assert_ne!(platform, "linux/s390x");
}

#[test]
fn the_images_to_read_are_listed_before_their_configs_are_known() {
    let text = "ARG A=alpine
FROM debian AS unused
FROM $A AS one
FROM --platform=linux/arm64 $A AS two
FROM one AS three
FROM $A
COPY --from=two a /
COPY --from=three a /
COPY --from=busybox a /
COPY --from=ubuntu a /";
    let platform: Platform = "linux/amd64".parse().unwrap();
    let build_args = [("A".to_owned(), "ubuntu".to_owned())].into();
    let bases = Dockerfile::parse(FILE, text)
        .unwrap()
        .bases(&platform, &build_args)
        .unwrap();
    let bases: Vec<String> = bases
        .iter()
        .map(|(reference, platform)| format!("{reference} {platform}"))
        .collect();
    assert_eq!(
        bases,
        [
            "docker.io/library/ubuntu linux/amd64",
            "docker.io/library/ubuntu linux/arm64",
            "docker.io/library/busybox linux/amd64"
        ]
    );
}
