"""The roadmap and the design card, sentence by sentence, each with what shows that it works."""
