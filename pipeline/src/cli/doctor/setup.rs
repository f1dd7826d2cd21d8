//! What a user sets up once: the configuration and the weights.

use ecosight_models::ModelError;
use ecosight_models::open::EmbedderName;
use ecosight_models::weights::{WeightsCache, WeightsRecord};

use super::Finding;
use crate::cli::error::CliError;
use crate::engine::Pipeline;

/// Whether the layers make a pipeline; all mistakes are told.
pub(super) fn configuration(pipeline: Result<&Pipeline, &CliError>) -> Finding {
    match pipeline {
        Ok(pipeline) => Finding::ok("configuration", format!("{} stages, no mistakes", pipeline.stages.len())),
        Err(error) => Finding::error("configuration", error),
    }
}

/// Whether the weights are there, sound, and the published ones.
pub(super) fn weights(cache: &WeightsCache, embedder: EmbedderName) -> Finding {
    const FIX: &str = "`ecosight weights fetch`; on a machine without network `ecosight weights import FILE`";
    let problem = |found: String| match embedder {
        EmbedderName::Yamnet => Finding::fail("weights", found, FIX),
        EmbedderName::Logmel => Finding::warn("weights", format!("{found}; the pipeline uses `logmel`, without"), FIX),
    };
    match read(cache) {
        Ok(None) => problem("YAMNet's weights are not on this machine".to_owned()),
        Err(error) => problem(CliError::from(error).chain().join(": ")),
        Ok(Some(record)) => {
            let hash = &record.content_hash.as_str()[..12];
            if record.official {
                return Finding::ok("weights", format!("yamnet {hash}, the published ones"));
            }
            let found = format!("yamnet {hash} from `{}`, which are not the published ones", record.source);
            Finding::warn("weights", found, "keep them if you mean them, else `ecosight weights fetch`")
        }
    }
}

/// The record of the weights in use, whose content is checked.
fn read(cache: &WeightsCache) -> Result<Option<WeightsRecord>, ModelError> {
    let Some(record) = cache.current()? else { return Ok(None) };
    cache.load(&record.content_hash)?;
    Ok(Some(record))
}
