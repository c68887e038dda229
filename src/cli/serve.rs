//! `secretary serve`: the main job.

use anyhow::Result;

use super::ConfigArg;
use crate::app;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
}

pub async fn run(args: Args) -> Result<()> {
    let (config, secrets) = args.config.load()?;
    app::serve(config, &secrets).await
}
