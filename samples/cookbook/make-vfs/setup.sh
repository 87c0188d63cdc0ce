. ../../card.sh
