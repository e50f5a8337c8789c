"""Parts that any recogniser can switch on by a setting."""
