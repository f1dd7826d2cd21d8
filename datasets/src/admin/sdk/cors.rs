//! Which web pages may read and write with signed URLs.

use aws_sdk_s3::types::{CorsConfiguration, CorsRule};

use super::wishes::CORS_MAX_AGE_S;
use super::{Admin, Look};
use crate::{DatasetError, DatasetErrorKind};

/// The name of our rule.
const ID: &str = "EcoSight-cors";

impl Admin {
    pub(super) async fn look_at_cors(&self) -> Result<Look, DatasetError> {
        let origins = self.wishes.cors_origins.join(", ");
        if origins.is_empty() {
            return Ok(Look::LeftOut("no web page is named: --cors-origin URL, or S3_CORS_ORIGINS".to_owned()));
        }
        let wanted = self.cors_rule()?;
        let is_there = self.cors_rules().await?.contains(&wanted);
        Ok(if is_there { Look::Right(origins) } else { Look::Wrong(format!("let {origins} ask")) })
    }

    fn cors_rule(&self) -> Result<CorsRule, DatasetError> {
        let methods = ["GET", "HEAD", "PUT"].map(str::to_owned).to_vec();
        let rule = CorsRule::builder()
            .id(ID)
            .allowed_headers("*")
            .set_allowed_methods(Some(methods))
            .set_allowed_origins(Some(self.wishes.cors_origins.clone()))
            .expose_headers("ETag")
            .max_age_seconds(CORS_MAX_AGE_S)
            .build();
        rule.map_err(|error| {
            DatasetError::new("set CORS of", self.bucket(), DatasetErrorKind::Server(error.to_string()))
        })
    }

    async fn cors_rules(&self) -> Result<Vec<CorsRule>, DatasetError> {
        let answer = self.s3.get_bucket_cors().bucket(self.bucket()).send().await;
        let found = self.unless("NoSuchCORSConfiguration", "look at CORS of", answer)?;
        Ok(found.and_then(|answer| answer.cors_rules).unwrap_or_default())
    }

    pub(super) async fn put_cors(&self) -> Result<(), DatasetError> {
        let mut rules = self.cors_rules().await?;
        rules.retain(|rule| rule.id() != Some(ID));
        rules.push(self.cors_rule()?);
        let configuration = CorsConfiguration::builder().set_cors_rules(Some(rules)).build().map_err(|error| {
            DatasetError::new("set CORS of", self.bucket(), DatasetErrorKind::Server(error.to_string()))
        })?;
        let answer = self.s3.put_bucket_cors().bucket(self.bucket()).cors_configuration(configuration).send().await;
        answer.map(drop).map_err(self.refused("set CORS of"))
    }
}
