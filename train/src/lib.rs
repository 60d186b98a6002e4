//! Trains DQ-regularized low-bit networks and exports them exactly to integer networks.
