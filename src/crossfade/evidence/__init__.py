"""What is proven, waived and unknown: readiness."""
