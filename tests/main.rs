//! Tests the command line as its users see it, end to end, in one binary that is linked once.

mod amplify;
mod attack;
mod bad_input;
mod boards;
mod certificates;
mod detector;
mod explore;
mod exports;
mod files;
mod gradient;
mod hardware;
mod host;
mod import;
mod interrupt;
mod libtorch;
mod load;
mod output;
mod path;
mod programs;
mod proved;
mod report;
mod robust;
mod run;
mod slurm;
mod sources;
mod train;
