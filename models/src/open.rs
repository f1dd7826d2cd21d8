//! Embedders by name and by identity.

use serde::{Deserialize, Serialize};

use crate::ModelError;
use crate::embedder::{Dtype, Embedder, EmbedderId, Precision};
use crate::logmel::LogMelEmbedder;
use crate::rounded::Rounded;
use crate::weights::{WeightsCache, YamnetWeights};
use crate::yamnet::{YamnetEmbedder, fastest_bf16, single_precision};

/// The embedders that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmbedderName {
    /// Google's AudioSet network; 1024 values per 0.96 s; needs weights.
    Yamnet,
    /// Statistics and modulation of the log-mel bands; needs nothing.
    Logmel,
}

impl EmbedderName {
    /// As in the pipeline file.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Yamnet => "yamnet",
            Self::Logmel => "logmel",
        }
    }
}

/// The number format that is asked for; which one it comes to depends on the machine, and stands in the identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrecisionChoice {
    /// IEEE single precision.
    #[default]
    F32,
    /// bfloat16 by the fastest means of this machine's processor.
    Bf16,
}

impl PrecisionChoice {
    /// As in the pipeline file.
    pub const fn word(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// Which embedder is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbedderSpec {
    /// The method.
    pub name: EmbedderName,
    /// What it computes in.
    pub precision: PrecisionChoice,
    /// What its values are rounded to.
    pub dtype: Dtype,
}

impl EmbedderSpec {
    /// What cannot go together, in words; known without looking at the machine.
    pub fn contradiction(self) -> Option<String> {
        (self.name == EmbedderName::Logmel && self.precision != PrecisionChoice::F32).then(|| {
            let (name, precision) = (self.name.word(), self.precision.word());
            format!("`{name}` computes in `f32` only, not in `{precision}`: leave it out, or set it to \"f32\"")
        })
    }

    /// Whether an embedder of this identity is one that is asked for, whatever its weights.
    pub fn describes(self, id: &EmbedderId) -> bool {
        let is_full = matches!(id.precision, Precision::F32 | Precision::F32Gpu);
        id.name == self.name.word() && id.dtype == self.dtype && is_full == (self.precision == PrecisionChoice::F32)
    }

    /// Whether [`open_embedder`] would find what it needs; reads no weights.
    pub fn check(self, cache: &WeightsCache) -> Result<(), ModelError> {
        self.resolve()?;
        match self.name {
            EmbedderName::Logmel => Ok(()),
            EmbedderName::Yamnet if cache.current()?.is_some() => Ok(()),
            EmbedderName::Yamnet => Err(self.missing_weights()),
        }
    }

    /// The identity of the embedder that [`open_embedder`] would give; reads no weights.
    pub fn identify(self, cache: &WeightsCache) -> Result<EmbedderId, ModelError> {
        let precision = self.resolve()?;
        let id = match self.name {
            EmbedderName::Logmel => crate::logmel::identity(),
            EmbedderName::Yamnet => {
                let record = cache.current()?.ok_or_else(|| self.missing_weights())?;
                crate::yamnet::identity(&record.content_hash, precision)
            }
        };
        Ok(EmbedderId { dtype: self.dtype, ..id })
    }

    /// The number format that this machine computes in when it is asked for [`PrecisionChoice`].
    fn resolve(self) -> Result<Precision, ModelError> {
        if self.contradiction().is_some() {
            return Err(unavailable(self.name.word(), self.precision.word(), "it computes in `f32` only"));
        }
        match self.precision {
            PrecisionChoice::F32 if self.name == EmbedderName::Yamnet => Ok(single_precision()),
            PrecisionChoice::F32 => Ok(Precision::F32),
            PrecisionChoice::Bf16 => Ok(fastest_bf16()),
        }
    }

    fn missing_weights(self) -> ModelError {
        ModelError::MissingWeights { embedder: self.name.word().to_owned() }
    }
}

/// The embedder of `spec` with the weights that are current in `cache`.
pub fn open_embedder(spec: EmbedderSpec, cache: &WeightsCache) -> Result<Box<dyn Embedder>, ModelError> {
    let precision = spec.resolve()?;
    let embedder: Box<dyn Embedder> = match spec.name {
        EmbedderName::Logmel => Box::new(LogMelEmbedder::new()),
        EmbedderName::Yamnet => {
            let weights = cache.load_current()?.ok_or_else(|| spec.missing_weights())?;
            Box::new(YamnetEmbedder::load(&weights, precision))
        }
    };
    Ok(rounded(embedder, spec.dtype))
}

/// The very embedder that `id` names, or an error: no other may stand in for it.
pub fn open_identity(id: &EmbedderId, cache: &WeightsCache) -> Result<Box<dyn Embedder>, ModelError> {
    let other = |found| Err(ModelError::OtherEmbedder { wanted: id.clone(), found });
    let embedder: Box<dyn Embedder> = match (id.name.as_str(), &id.weights) {
        ("logmel", None) => Box::new(LogMelEmbedder::new()),
        // Only a build for a GPU computes as one does.
        ("yamnet", Some(_)) if id.precision == Precision::F32Gpu && single_precision() != Precision::F32Gpu => {
            return other(None);
        }
        ("yamnet", Some(_)) => Box::new(YamnetEmbedder::load(&yamnet_weights(id, cache)?, id.precision)),
        _ => return other(None),
    };
    let embedder = rounded(embedder, id.dtype);
    if embedder.id() == id { Ok(embedder) } else { other(Some(embedder.id().clone())) }
}

/// The weights of YAMNet that `id` names, or an error.
pub(crate) fn yamnet_weights(id: &EmbedderId, cache: &WeightsCache) -> Result<YamnetWeights, ModelError> {
    let records = cache.list()?;
    let record = records.iter().find(|record| Some(record.content_hash.as_str()) == id.weights.as_deref());
    let record = record.ok_or_else(|| ModelError::OtherEmbedder { wanted: id.clone(), found: None })?;
    Ok(cache.load(&record.content_hash)?)
}

fn rounded(embedder: Box<dyn Embedder>, dtype: Dtype) -> Box<dyn Embedder> {
    match dtype {
        Dtype::F32 => embedder,
        Dtype::F16 => Box::new(Rounded::new(embedder)),
    }
}

fn unavailable(embedder: &str, precision: &str, why: &'static str) -> ModelError {
    ModelError::Precision { embedder: embedder.to_owned(), precision: precision.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_opens_the_embedder_that_a_spec_opened() {
        let cache = WeightsCache::new(std::path::Path::new("nowhere"));
        for dtype in [Dtype::F32, Dtype::F16] {
            let spec = EmbedderSpec { name: EmbedderName::Logmel, precision: PrecisionChoice::F32, dtype };
            let embedder = open_embedder(spec, &cache).unwrap();
            assert_eq!(embedder.id().dtype, dtype);
            assert_eq!(*embedder.id(), spec.identify(&cache).unwrap());
            assert_eq!(open_identity(embedder.id(), &cache).unwrap().id(), embedder.id());
        }
    }

    #[test]
    fn a_precision_that_cannot_be_had_is_refused_with_a_way_out() {
        let cache = WeightsCache::new(std::path::Path::new("nowhere"));
        let spec = EmbedderSpec { name: EmbedderName::Logmel, precision: PrecisionChoice::Bf16, dtype: Dtype::F32 };
        let error = spec.check(&cache).unwrap_err();
        assert!(error.to_string().contains("`bf16`") && error.hint().is_some_and(|h| h.contains("f32")), "{error}");
    }
}
