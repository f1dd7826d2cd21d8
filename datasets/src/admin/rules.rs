//! The bucket's lifecycle, in which others may have rules, too.

use aws_sdk_s3::operation::get_bucket_lifecycle_configuration::GetBucketLifecycleConfigurationOutput;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule,
    LifecycleRuleFilter, NoncurrentVersionExpiration, Transition, TransitionDefaultMinimumObjectSize,
    TransitionStorageClass,
};

use super::lifecycle::{Action, Rule, rules};
use super::{Admin, Look};
use crate::layout::Area;
use crate::{DatasetError, DatasetErrorKind};

impl Admin {
    pub(super) async fn look_at_rules(&self) -> Result<Look, DatasetError> {
        let found = self.rules_of_bucket().await?;
        let wanted = rules(&self.wishes);
        let names = |rules: &[&Rule]| rules.iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>().join(", ");
        let missing: Vec<&Rule> =
            wanted.iter().filter(|rule| !found.rules().iter().any(|old| is_said_by(rule, old))).collect();
        Ok(if missing.is_empty() {
            Look::Right(names(&wanted.iter().collect::<Vec<_>>()))
        } else {
            Look::Wrong(format!("add {}", names(&missing)))
        })
    }

    /// Rules in force, ours or not, that remove what must stay: their names.
    pub async fn dangerous_rules(&self) -> Result<Vec<String>, DatasetError> {
        let lasting: Vec<String> = Area::ALL
            .into_iter()
            .filter(|area| area.expires_after_days().is_none())
            .map(|area| self.wishes.prefix_of(area))
            .collect();
        let found = self.rules_of_bucket().await?;
        let is_dangerous = |rule: &&LifecycleRule| {
            let expiration = rule.expiration();
            let removes = expiration.is_some_and(|expiration| expiration.days.is_some() || expiration.date.is_some());
            let prefix = prefix_of(rule);
            let meets = |area: &String| area.starts_with(prefix) || prefix.starts_with(area.as_str());
            rule.status == ExpirationStatus::Enabled && removes && lasting.iter().any(meets)
        };
        let name = |rule: &LifecycleRule| rule.id().unwrap_or("(a rule without a name)").to_owned();
        Ok(found.rules().iter().filter(is_dangerous).map(name).collect())
    }

    async fn rules_of_bucket(&self) -> Result<GetBucketLifecycleConfigurationOutput, DatasetError> {
        let answer = self.s3.get_bucket_lifecycle_configuration().bucket(self.bucket()).send().await;
        let found = self.unless("NoSuchLifecycleConfiguration", "look at lifecycle of", answer)?;
        Ok(found.unwrap_or_else(|| GetBucketLifecycleConfigurationOutput::builder().build()))
    }

    pub(super) async fn put_rules(&self) -> Result<(), DatasetError> {
        let invalid = |error: aws_sdk_s3::error::BuildError| {
            DatasetError::new("set lifecycle of", self.bucket(), DatasetErrorKind::Server(error.to_string()))
        };
        let found = self.rules_of_bucket().await?;
        let mut merged = found.rules.unwrap_or_default();
        for rule in rules(&self.wishes) {
            let made = made(&rule).map_err(invalid)?;
            match merged.iter_mut().find(|old| old.id() == Some(&rule.id)) {
                Some(old) => *old = made,
                None => merged.push(made),
            }
        }
        let configuration = BucketLifecycleConfiguration::builder().set_rules(Some(merged)).build().map_err(invalid)?;
        let size = found.transition_default_minimum_object_size;
        let size = size.map(|size| TransitionDefaultMinimumObjectSize::from(size.as_str()));
        let request = self.s3.put_bucket_lifecycle_configuration().bucket(self.bucket());
        let request = request.lifecycle_configuration(configuration).set_transition_default_minimum_object_size(size);
        request.send().await.map(drop).map_err(self.refused("set lifecycle of"))
    }
}

/// Keys that a rule is about begin with this, wherever it says so.
fn prefix_of(rule: &LifecycleRule) -> &str {
    let of_filter =
        rule.filter().and_then(|filter| filter.prefix().or_else(|| filter.and().and_then(|and| and.prefix())));
    #[expect(deprecated, reason = "old rules say it there")]
    let of_rule = rule.prefix();
    of_filter.or(of_rule).unwrap_or_default()
}

/// Whether `found` is `rule`, however the server writes it.
fn is_said_by(rule: &Rule, found: &LifecycleRule) -> bool {
    let expires = found.expiration().and_then(LifecycleExpiration::days);
    let aborts =
        found.abort_incomplete_multipart_upload().and_then(AbortIncompleteMultipartUpload::days_after_initiation);
    let moves = |found: &Transition| Some((found.days()? as u32, found.storage_class()?.as_str().to_owned()));
    let is_same = match &rule.action {
        Action::Expire(days) => expires == Some(*days as i32),
        Action::AbortUploads(days) => aborts == Some(*days as i32),
        Action::Move(wanted) => {
            let mut found: Vec<_> = found.transitions().iter().filter_map(moves).collect();
            found.sort();
            let mut wanted: Vec<_> = wanted.iter().map(|(days, class)| (*days, (*class).to_owned())).collect();
            wanted.sort();
            found == wanted
        }
    };
    let is_ours = found.id() == Some(&rule.id) && found.status == ExpirationStatus::Enabled;
    is_ours && prefix_of(found) == rule.prefix && is_same
}

/// The rule as the client sends it.
fn made(rule: &Rule) -> Result<LifecycleRule, aws_sdk_s3::error::BuildError> {
    let filter = LifecycleRuleFilter::builder().prefix(&rule.prefix).build();
    let made = LifecycleRule::builder().id(&rule.id).status(ExpirationStatus::Enabled).filter(filter);
    match &rule.action {
        Action::Expire(days) => {
            let days = *days as i32;
            let old = NoncurrentVersionExpiration::builder().noncurrent_days(days).build();
            made.expiration(LifecycleExpiration::builder().days(days).build()).noncurrent_version_expiration(old)
        }
        Action::AbortUploads(days) => {
            let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(*days as i32).build();
            made.abort_incomplete_multipart_upload(abort)
        }
        Action::Move(moves) => moves.iter().fold(made, |made, (days, class)| {
            let class = TransitionStorageClass::from(*class);
            made.transitions(Transition::builder().days(*days as i32).storage_class(class).build())
        }),
    }
    .build()
}
