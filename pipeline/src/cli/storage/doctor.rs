//! `ecosight storage doctor`: whether the bucket is as it should be and these keys may do what they must. Nothing stays behind.

#[cfg(feature = "aws-admin")]
mod bucket;
mod clock;
mod probes;

use ecosight_datasets::admin::Wishes;
use ecosight_datasets::store::{Access, Credentials, Place, Store};

use super::wishes::{asked, of_settings};
use crate::ExitStatus;
use crate::cli::args::BucketDoctorArgs;
use crate::cli::doctor::disk;
use crate::cli::error::CliError;
use crate::cli::finding::{Finding, report};
use crate::cli::printer::Printer;
use crate::cli::session::Globals;

/// Runs the verb.
pub(super) fn doctor(args: &BucketDoctorArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let access = globals.access()?;
    let mut findings = match access.settings.configured() {
        Ok(place) => in_bucket(args, place, access)?,
        Err(why) => on_this_machine(globals, why),
    };
    let at = 1.min(findings.len());
    findings.splice(at..at, overruled(access));
    report(&findings, printer)
}

/// What the shell says otherwise than `.env`.
fn overruled(access: &Access) -> Option<Finding> {
    let found = access.settings.environment.overruled();
    let told: Vec<_> = found.iter().map(ToString::to_string).collect();
    let fix = "if that is not meant: `unset` it in the shell, or take the line out of .env";
    (!told.is_empty()).then(|| Finding::warn("variables", told.join("\n"), fix))
}

/// Recordings stay on this machine.
fn on_this_machine(globals: &Globals, why: &str) -> Vec<Finding> {
    let folder = globals.layout.extracted_audio();
    let found = format!("the folder `{}`: {why}", folder.display());
    let is_meant = globals.access().is_ok_and(|access| access.settings.half_configured().is_some());
    vec![
        if is_meant {
            Finding::warn("used", found, "finish the configuration, or name no bucket")
        } else {
            Finding::ok("used", found)
        },
        disk::writable(&folder),
        disk::space("free space", &folder, "--data-root DIR"),
    ]
}

fn in_bucket(args: &BucketDoctorArgs, place: &Place, access: &Access) -> Result<Vec<Finding>, CliError> {
    let settings = &access.settings;
    let credentials =
        settings.credentials.as_ref().map_or_else(|| "its own credentials".to_owned(), Credentials::origin);
    let mut findings = vec![Finding::ok("used", format!("{place} with {credentials}"))];
    findings.extend(clock::clock(place, settings));
    let is_there = configuration(args, access, &mut findings)?;
    if is_there {
        match Store::connect(place, access) {
            Ok(store) => findings.extend(probes::probes(&store)),
            Err(error) => findings.push(Finding::error("connection", &error.into())),
        }
    }
    Ok(findings)
}

/// Adds what is found of the configuration; whether the bucket can be there. What no server would grant is a mistake.
fn configuration(args: &BucketDoctorArgs, access: &Access, findings: &mut Vec<Finding>) -> Result<bool, CliError> {
    match of_settings(&access.settings) {
        Ok(wishes) => {
            let wishes = asked(&args.wishes, args.iam_user.as_ref(), wishes)?;
            Ok(examined(access, wishes, findings))
        }
        Err(error) => {
            findings.push(Finding::ok("configuration", format!("not checked: {}", error.chain().join(": "))));
            Ok(true)
        }
    }
}

#[cfg(feature = "aws-admin")]
fn examined(access: &Access, wishes: Wishes, findings: &mut Vec<Finding>) -> bool {
    bucket::findings(&access.settings, wishes, findings)
}

#[cfg(not(feature = "aws-admin"))]
fn examined(_: &Access, _: Wishes, findings: &mut Vec<Finding>) -> bool {
    let error = super::wishes::without_sdk();
    let fix = error.hint().unwrap_or_default().to_owned();
    findings.push(Finding::warn("configuration", "not checked: this build of EcoSight has no AWS SDK", fix));
    true
}
