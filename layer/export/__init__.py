"""BUILD TIME: a model as the fast engines take it: two towers and a tokenizer, without torch."""
