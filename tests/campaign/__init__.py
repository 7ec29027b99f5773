"""The campaign: many drawn cases, each judged on one right variant, and not one of them may fail."""
