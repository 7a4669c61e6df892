"""open_clip_config.json and tokenizer files, checked before a library reads them."""
