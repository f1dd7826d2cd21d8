//! The bucket's lifecycle, in which others may have rules, too.

use aws_sdk_s3::operation::get_bucket_lifecycle_configuration::GetBucketLifecycleConfigurationOutput;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule,
    LifecycleRuleFilter, Transition, TransitionDefaultMinimumObjectSize, TransitionStorageClass,
};

use super::lifecycle::{Action, Rule, moves, rules, told_moves, too_early};
use super::{Admin, Look, Wishes};
use crate::layout::Area;
use crate::{DatasetError, DatasetErrorKind};

impl Admin {
    pub(super) async fn look_at_rules(&self) -> Result<Look, DatasetError> {
        let found = self.rules_of_bucket().await?;
        let wanted = wanted(&self.wishes, found.rules());
        let told = |rules: &[&Rule]| rules.iter().map(|rule| rule.told()).collect::<Vec<_>>().join(", ");
        let missing = missing(&wanted, found.rules());
        if missing.is_empty() {
            return Ok(Look::Right(told(&wanted.iter().collect::<Vec<_>>())));
        }
        let of_moves = missing.iter().find_map(|rule| match &rule.action {
            Action::Move(moves) => too_early(moves),
            _ => None,
        });
        if let Some((why, earliest)) = of_moves {
            let hint = format!("`--glacier {earliest}` or later; what an earlier setup asked for stays in force");
            return Ok(Look::Unsafe { why, hint });
        }
        Ok(match self.endangered(&missing).await? {
            None => Look::Wrong(format!("add {}", told(&missing))),
            Some(why) => {
                let hint = "move it elsewhere if it must stay; `ecosight storage setup --expire-existing` lets it go";
                Look::Unsafe { why, hint: hint.to_owned() }
            }
        })
    }

    /// What a rule that is missing would remove though somebody put it there before; none where nothing lies there, or that is wanted.
    async fn endangered(&self, missing: &[&Rule]) -> Result<Option<String>, DatasetError> {
        if self.wishes.expire_existing {
            return Ok(None);
        }
        for rule in missing {
            let Action::Expire(days) = rule.action else { continue };
            let request = self.s3.list_objects_v2().bucket(self.bucket()).prefix(&rule.prefix).max_keys(1);
            let found = request.send().await.map_err(self.refused("list"))?;
            if let Some(key) = found.contents().first().and_then(|object| object.key()) {
                let prefix = &rule.prefix;
                let why = format!(
                    "no rule was set: what is below `{prefix}` would be removed after {days} day(s), and `{key}` lies there"
                );
                return Ok(Some(why));
            }
        }
        Ok(None)
    }

    /// Days after which the parts of uploads that were never completed are removed, as the bucket says; as is wanted of it where that may
    /// not be asked.
    pub async fn aborts_after_days(&self) -> u32 {
        let found = self.rules_of_bucket().await.map(|found| found.rules.unwrap_or_default());
        let days = wanted(&self.wishes, &found.unwrap_or_default()).into_iter().find_map(|rule| match rule.action {
            Action::AbortUploads(days) => Some(days),
            _ => None,
        });
        days.unwrap_or_default()
    }

    /// Where rules in force, ours or not, move recordings, beside where they should.
    pub async fn look_at_moves(&self) -> Result<Look, DatasetError> {
        let originals = self.wishes.prefix_of(Area::ExtractedAudio);
        let found = self.rules_of_bucket().await?;
        let is_about = |rule: &&LifecycleRule| {
            let prefix = prefix_of(rule);
            rule.status == ExpirationStatus::Enabled
                && (originals.starts_with(prefix) || prefix.starts_with(&originals))
        };
        let mut found: Vec<_> = found.rules().iter().filter(is_about).flat_map(moves_of).collect();
        found.sort();
        Ok(compared(&moves(&self.wishes), &found))
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
        let wanted = wanted(&self.wishes, &merged);
        if let Some(why) = self.endangered(&missing(&wanted, &merged)).await? {
            return Err(DatasetError::invalid("set lifecycle of", self.bucket(), why));
        }
        for rule in wanted {
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

/// What is found where recordings should move, beside what is wanted.
fn compared(wanted: &[(u32, String)], found: &[(u32, String)]) -> Look {
    let there = if found.is_empty() {
        "recordings stay in the class that they were written in".to_owned()
    } else {
        format!("recordings move {}", told_moves(found))
    };
    match wanted {
        [] if found.is_empty() => Look::LeftOut(format!("nothing is asked for, and {there}")),
        _ if wanted.iter().all(|one| found.contains(one)) => Look::Right(there),
        _ => Look::Wrong(format!("move recordings {}; now {there}", told_moves(wanted))),
    }
}

/// The rules that are wanted of a bucket that has these: what nobody asks for now stays as our rules say it.
fn wanted(wishes: &Wishes, found: &[LifecycleRule]) -> Vec<Rule> {
    let mut wanted = rules(wishes);
    for rule in &mut wanted {
        let is_ours = |old: &&LifecycleRule| old.id() == Some(&rule.id) && old.status == ExpirationStatus::Enabled;
        let Some(old) = found.iter().find(is_ours) else { continue };
        match &mut rule.action {
            Action::Expire(_) => {}
            Action::AbortUploads(days) => {
                let kept = if wishes.abort_after_days.is_none() { aborts_after(old) } else { None };
                *days = kept.unwrap_or(*days);
            }
            Action::Move(moves) => {
                let kept = moves_of(old).into_iter().filter(|(_, class)| moves.iter().all(|(_, new)| fits(new, class)));
                let kept: Vec<_> = kept.collect();
                moves.extend(kept);
                moves.sort();
            }
        }
    }
    wanted
}

/// Whether one rule can move objects to both classes. From Intelligent-Tiering nothing moves to Standard-IA.
fn fits(new: &str, old: &str) -> bool {
    let warm = ["INTELLIGENT_TIERING", "STANDARD_IA"];
    new != old && !(warm.contains(&new) && warm.contains(&old))
}

/// Those of `wanted` that the bucket does not have.
fn missing<'a>(wanted: &'a [Rule], found: &[LifecycleRule]) -> Vec<&'a Rule> {
    wanted.iter().filter(|rule| !found.iter().any(|old| is_said_by(rule, old))).collect()
}

/// Days after which a rule gives up uploads.
fn aborts_after(rule: &LifecycleRule) -> Option<u32> {
    let days = rule.abort_incomplete_multipart_upload().and_then(AbortIncompleteMultipartUpload::days_after_initiation);
    u32::try_from(days?).ok()
}

/// Where a rule moves objects, and after how many days.
fn moves_of(rule: &LifecycleRule) -> Vec<(u32, String)> {
    let one =
        |found: &Transition| Some((u32::try_from(found.days()?).ok()?, found.storage_class()?.as_str().to_owned()));
    rule.transitions().iter().filter_map(one).collect()
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
    let is_same = match &rule.action {
        Action::Expire(days) => expires == Some(*days as i32),
        Action::AbortUploads(days) => aborts_after(found) == Some(*days),
        Action::Move(wanted) => {
            let mut found = moves_of(found);
            found.sort();
            let mut wanted = wanted.clone();
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
        Action::Expire(days) => made.expiration(LifecycleExpiration::builder().days(*days as i32).build()),
        Action::AbortUploads(days) => {
            let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(*days as i32).build();
            made.abort_incomplete_multipart_upload(abort)
        }
        Action::Move(moves) => moves.iter().fold(made, |made, (days, class)| {
            let class = TransitionStorageClass::from(class.as_str());
            made.transitions(Transition::builder().days(*days as i32).storage_class(class).build())
        }),
    }
    .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::wishes::tests::wishes;

    /// The rules of a bucket that was set up with these wishes.
    fn set_up(wishes: &Wishes, found: &[LifecycleRule]) -> Vec<LifecycleRule> {
        wanted(wishes, found).iter().map(|rule| made(rule).unwrap()).collect()
    }

    #[test]
    fn an_option_that_is_not_given_again_stays_in_force() {
        let first = Wishes { standard_ia_days: Some(60), abort_after_days: Some(3), ..wishes("clips") };
        let found = set_up(&first, &[]);
        assert!(missing(&wanted(&wishes("clips"), &found), &found).is_empty());
        let second = set_up(&Wishes { glacier_days: Some(365), ..wishes("clips") }, &found);
        let kept = [(60, "STANDARD_IA".to_owned()), (365, "GLACIER".to_owned())];
        assert_eq!(moves_of(second.last().unwrap()), kept);
        assert_eq!(second.iter().find_map(aborts_after), Some(3));
        let third = set_up(&Wishes { intelligent_tiering_days: Some(1), ..wishes("clips") }, &second);
        let left = [(1, "INTELLIGENT_TIERING".to_owned()), (365, "GLACIER".to_owned())];
        assert_eq!(moves_of(third.last().unwrap()), left);
    }
    #[test]
    fn moves_that_are_there_are_told_and_those_that_are_missing_are_named() {
        let at = |days: u32, class: &str| (days, class.to_owned());
        let there = [at(60, "STANDARD_IA"), at(400, "GLACIER")];
        assert!(matches!(compared(&[], &[]), Look::LeftOut(_)));
        let told = "recordings move to STANDARD_IA after 60 day(s), to GLACIER after 400 day(s)";
        assert_eq!(compared(&[], &there), Look::Right(told.to_owned()));
        assert_eq!(compared(&there[..1], &there), Look::Right(told.to_owned()));
        assert!(matches!(compared(&[at(30, "STANDARD_IA")], &there), Look::Wrong(_)));
    }

    #[test]
    fn what_an_earlier_setup_asked_for_counts_when_glacier_comes_too_early() {
        let found = set_up(&Wishes { standard_ia_days: Some(60), ..wishes("clips") }, &[]);
        let second = wanted(&Wishes { glacier_days: Some(70), ..wishes("clips") }, &found);
        let Some(Action::Move(moves)) = second.last().map(|rule| &rule.action) else { panic!("a rule that moves") };
        assert_eq!(too_early(moves).map(|(_, earliest)| earliest), Some(90));
    }
}
